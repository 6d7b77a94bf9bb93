"""Figure 4: pricing a motor risk with nothing around it: no server, no database."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime

from libs.premium import Coverage
from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.flows import publishing
from services.quotes.quoting.rules.calculation import compile_calculator
from services.quotes.rating.rules.pricing import Risk
from tests.performance import machine
from tests.performance.rounds import Effort
from tests.performance.table import Figure, Target

NAME = "pure rating, motor"
_BATCH = 200  # prices between two looks at the clock


def measure(effort: Effort) -> list[Figure]:
    """Quotes a second on one core: answers checked, coverages chosen, price with breakdown, and the decision."""
    calculator = compile_calculator(read(publishing.load(publishing.FOLDER / "motor.yaml")))
    risks = itertools.cycle(_risks())
    now = datetime.now(UTC)
    measured: list[float] = []
    with machine.on_core(machine.MEASURED):
        for _ in range(effort.rounds):
            done, begun = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - begun) < effort.seconds / 4:
                for risk in itertools.islice(risks, _BATCH):
                    calculator.calculate(risk, now)
                done += _BATCH
            measured.append(done / elapsed)
    return [Figure(NAME, "quotes/s", measured, target=Target(20_000, at_least=True))]


def _risks() -> list[Risk]:
    """Drivers and cars of many kinds, so that every table is looked up in different rows."""
    regions = ("lisbon", "porto", "coast", "inland", "islands")
    uses = ("private", "commuting", "business", "taxi")
    cover = ((), (Coverage("own_damage"), Coverage("theft")), (Coverage("passenger_injury"), Coverage("roadside")))
    return [
        Risk(
            {
                "driver_age": 18 + number % 70,
                "licence_years": number % 50,
                "vehicle_value": 2_000 + 997 * (number % 120),
                "vehicle_age": number % 30,
                "engine_power": 40 + number % 200,
                "annual_km": 1_000 * (number % 40),
                "region": regions[number % len(regions)],
                "use": uses[number % len(uses)],
                "claims_5_years": number % 5,
                "claim_free_years": number % 12,
                "garage": number % 2 == 0,
                "telematics": number % 3 == 0,
            },
            cover[number % len(cover)],
        )
        for number in range(997)
    ]
