"""Pricing motor risks with nothing around it, against the same product written down as one plain function.

`python -m …contenders.rating ROUNDS SECONDS` prints the CPU microseconds of a price, of both in each round, as JSON.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from typing import Any

from tests.performance.contenders.platform_code import motor_prices

Risk = tuple[dict[str, Any], tuple[str, ...]]
_BATCH = 100  # prices between two looks at the clock
_D = Decimal
_CENT, _ONE = _D("0.01"), _D(1)
_REGIONS = {
    "lisbon": _D("1.18"),
    "porto": _D("1.12"),
    "coast": _D("1.00"),
    "inland": _D("0.91"),
    "islands": _D("0.95"),
}
_USES = {"private": _D("1.00"), "commuting": _D("1.05"), "business": _D("1.22"), "taxi": _D("1.80")}
_CLAIMS = (_D("0.00"), _D("0.15"), _D("0.40"), _D("0.75"), _D("1.20"))
_CLAIM_FREE = (_D("0.00"), _D("0.05"), _D("0.10"), _D("0.18"), _D("0.25"), *[_D("0.35")] * 5, _D("0.45"))


def plain(answers: dict[str, Any], optional: tuple[str, ...]) -> tuple[int, int, int]:
    """Net, tax and fees in cents: what `services/quotes/products/motor.yaml` says, as somebody would write it down who
    has one product, checks no answer and explains no price.
    """
    age, years, power = answers["driver_age"], answers["licence_years"], answers["engine_power"]
    driver = _band(age, ((20, "1.95"), (24, "1.55"), (29, "1.20"), (64, "1.00"), (74, "1.08")), "1.35")
    driver *= _band(years, ((1, "1.30"), (4, "1.12")), "1.00")
    total = _D(168) * driver
    total *= _band(power, ((60, "0.92"), (90, "1.00"), (130, "1.14"), (200, "1.32")), "1.68")
    if "own_damage" in optional:
        own = answers["vehicle_value"] * _D("0.0185") * driver
        total += own * _band(answers["vehicle_age"], ((2, "1.10"), (7, "1.00"), (12, "0.94")), "1.05")
    if "theft" in optional:
        total += answers["vehicle_value"] * _D("0.0042")
    if "passenger_injury" in optional:
        total += 20_000 * _D("0.00065")
    if "roadside" in optional:
        total += 29
    total *= _REGIONS[answers["region"]]
    total *= _band(answers["annual_km"], ((7500, "0.90"), (15000, "1.00"), (30000, "1.12")), "1.28")
    total *= _USES[answers["use"]]
    total *= 1 + _CLAIMS[min(answers["claims_5_years"], 4)]
    total *= 1 - _CLAIM_FREE[min(answers["claim_free_years"], 10)]
    if answers["garage"]:
        total *= _D("0.97")
    if answers["telematics"]:
        total *= _D("0.925")
    net = max(total.quantize(_CENT, ROUND_HALF_EVEN), _D(95)) * 100
    tax = (net * _D("0.09")).quantize(_ONE, ROUND_HALF_EVEN) + (net * _D("0.025")).quantize(_ONE, ROUND_HALF_EVEN)
    return int(net), int(tax), 1250


def _band(value: int, bands: tuple[tuple[int, str], ...], otherwise: str) -> Decimal:
    for last, factor in bands:
        if value <= last:
            return _D(factor)
    return _D(otherwise)


def risks() -> list[Risk]:
    """Drivers and cars of many kinds, so that every table is looked up in different rows."""
    regions, uses = tuple(_REGIONS), tuple(_USES)
    optional = ((), ("own_damage", "theft"), ("passenger_injury", "roadside"))
    return [
        (
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
            optional[number % len(optional)],
        )
        for number in range(997)
    ]


def main(rounds: int, seconds: float) -> None:
    """Compare every price, then measure in turn."""
    getcontext().prec = 60  # nothing is rounded on the way
    own = motor_prices()
    for answers, optional in risks():
        if own(answers, optional) != plain(answers, optional):
            sys.exit(f"{own(answers, optional)} is not {plain(answers, optional)}: {answers} {optional}")
    measured = [(_microseconds(own, seconds), _microseconds(plain, seconds)) for _ in range(rounds)]
    print(json.dumps({"ours": [pair[0] for pair in measured], "plain": [pair[1] for pair in measured]}))


def _microseconds(price: Callable[..., object], seconds: float) -> float:
    each: Iterator[Risk] = itertools.cycle(risks())
    priced, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for answers, optional in itertools.islice(each, _BATCH):
            price(answers, optional)
        priced += _BATCH
    return spent / priced * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
