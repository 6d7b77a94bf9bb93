"""Rating checked motor risks, with lines and every step explained, against the same formula as one plain function.

`python -m …contenders.rating_lines ROUNDS SECONDS` prints the CPU microseconds of a price, of both in each round, as
JSON.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from math import inf
from typing import Any

from tests.performance.contenders.platform_code import motor_rating

Facts = dict[str, Any]
Step = tuple[str, str, int]
"""Name, coverage, and cents that the step adds."""
Line = tuple[str, int]
"""Coverage, tax or fee, and cents."""

_BATCH = 100  # prices between two looks at the clock
_D = Decimal
_ONE = _D(1)
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


_AGES = (20, _D("1.95")), (24, _D("1.55")), (29, _D("1.20")), (64, _D("1.00")), (74, _D("1.08")), (inf, _D("1.35"))
_LICENCE = (1, _D("1.30")), (4, _D("1.12")), (inf, _D("1.00"))
_POWER = (60, _D("0.92")), (90, _D("1.00")), (130, _D("1.14")), (200, _D("1.32")), (inf, _D("1.68"))
_CAR_AGES = (2, _D("1.10")), (7, _D("1.00")), (12, _D("0.94")), (inf, _D("1.05"))
_KILOMETRES = (7500, _D("0.90")), (15000, _D("1.00")), (30000, _D("1.12")), (inf, _D("1.28"))
_SAME, _RATES = _D("1.00"), {"own_damage": _D("0.0185"), "theft": _D("0.0042"), "passenger_injury": _D("0.00065")}
_TAX, _LEVY, _GARAGE, _TELEMATICS = _D("0.09"), _D("0.025"), _D("0.97"), _D("0.925")


def plain(facts: Facts, optional: tuple[str, ...]) -> tuple[list[Line], list[Step]]:
    """What `motor-2.yaml` says, as somebody would write it down who has this one product, its numbers made once.

    It explains its steps, because whoever rates needs them: a quote keeps them, an answer shows them, and the analysis
    of a change of rates compares them one by one.

    Amounts are in cents. Each step is rounded as a difference of running totals, as the breakdown of a price shows it.
    """
    parts: dict[str, Decimal] = {}
    steps: list[Step] = []
    total, shown = _D(0), 0

    def note(name: str, coverage: str) -> None:
        nonlocal shown
        cents = int(total.quantize(_ONE, ROUND_HALF_EVEN))
        steps.append((name, coverage, cents - shown))
        shown = cents

    def scale(name: str, coverage: str, factor: Decimal) -> None:
        nonlocal total
        before = parts[coverage]
        parts[coverage] = before * factor
        total += parts[coverage] - before
        note(name, coverage)

    value = facts["vehicle.value"]
    bases = {
        "third_party": _D(16800),
        "own_damage": value * _RATES["own_damage"],
        "theft": value * _RATES["theft"],
        "passenger_injury": 2_000_000 * _RATES["passenger_injury"],
        "roadside": _D(2900),
    }
    for coverage, base in bases.items():
        if coverage == "third_party" or coverage in optional:
            parts[coverage] = base
            total += base
            note(f"{coverage}_base", coverage)
    scale("liability_limit", "third_party", _SAME)
    own_damage = "own_damage" in parts
    age, years = _band(facts["driver_age"], _AGES), _band(facts["licence_years"], _LICENCE)
    for name, factor in (("driver_age", age), ("licence_years", years)):
        scale(name, "third_party", factor)
        if own_damage:
            scale(name, "own_damage", factor)
    scale("engine_power", "third_party", _band(facts["vehicle.engine_power"], _POWER))
    if own_damage:
        scale("vehicle_age", "own_damage", _band(facts["vehicle_age"], _CAR_AGES))
    for coverage in ("own_damage", "theft"):
        if coverage in parts:
            scale("own_damage_deductible", coverage, _SAME)
    exact = total
    on_whole: list[tuple[str, Decimal | None]] = [
        ("region", _REGIONS[facts["region"]]),
        ("annual_km", _band(facts["annual_km"], _KILOMETRES)),
        ("use", _USES[facts["use"]]),
        ("claims", 1 + _CLAIMS[min(facts["claims_5_years"], 4)] if facts["claims_5_years"] else None),
        ("claim_free", 1 - _CLAIM_FREE[min(facts["claim_free_years"], 10)] if facts["claim_free_years"] else None),
        ("garage", _GARAGE if facts["garage"] else None),
        ("telematics", _TELEMATICS if facts["telematics"] else None),
    ]
    for name, multiplier in on_whole:
        if multiplier is not None:
            total *= multiplier
            note(name, "")
    net = shown
    if net < 9500:
        steps.append(("minimum_premium", "", 9500 - net))
        net = 9500
    shares = {coverage: net * part / exact for coverage, part in parts.items()}
    lines = {coverage: int(share) for coverage, share in shares.items()}
    for coverage in sorted(lines, key=lambda coverage: lines[coverage] - shares[coverage])[: net - sum(lines.values())]:
        lines[coverage] += 1
    charges = [
        ("premium_tax", int((net * _TAX).quantize(_ONE, ROUND_HALF_EVEN))),
        ("medical_emergency_levy", int((net * _LEVY).quantize(_ONE, ROUND_HALF_EVEN))),
        ("policy_fee", 1250),
    ]
    return [*lines.items(), *charges], [*steps, *((name, "", amount) for name, amount in charges)]


def _band(value: int, bands: tuple[tuple[float, Decimal], ...]) -> Decimal:
    return next(factor for last, factor in bands if value <= last)


def risks() -> list[tuple[Facts, tuple[str, ...]]]:
    """Drivers and cars of many kinds, so that every table is looked up in different rows."""
    regions, uses = tuple(_REGIONS), tuple(_USES)
    optional = ((), ("own_damage", "theft"), ("passenger_injury", "roadside"))
    return [
        (
            {
                "driver_age": 18 + number % 70,
                "licence_years": number % 50,
                "vehicle.value": 200_000 + 99_700 * (number % 120),
                "vehicle_age": number % 30,
                "vehicle.engine_power": 40 + number % 200,
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
    prepare, own, shown = motor_rating()
    prepared = [prepare(facts, optional) for facts, optional in risks()]
    for arguments, (facts, optional) in zip(prepared, risks(), strict=True):
        if shown(own(*arguments)) != plain(facts, optional):
            sys.exit(f"{shown(own(*arguments))} is not {plain(facts, optional)}: {facts} {optional}")
    measured = [(_microseconds(own, prepared, seconds), _microseconds(plain, risks(), seconds)) for _ in range(rounds)]
    print(json.dumps({"ours": [pair[0] for pair in measured], "plain": [pair[1] for pair in measured]}))


def _microseconds(price: Callable[..., object], cases: list[Any], seconds: float) -> float:
    each: Iterator[Any] = itertools.cycle(cases)
    priced, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        for case in itertools.islice(each, _BATCH):
            price(*case)
        priced += _BATCH
    return spent / priced * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
