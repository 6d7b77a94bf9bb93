"""What is insured by the policies of a simulation, and what is changed of it: drawn for each product by given dice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any, Final

Json = dict[str, Any]

_NAMES = ("Ana", "Rui", "Eva", "Leo", "Olga", "Tiago", "Inês", "Paulo", "Marta", "Nuno")
_SURNAMES = ("Macuácua", "Reis", "Tavares", "Dias", "Silva", "Mondlane", "Costa", "Nhaca")


def risk_of(product: str, number: int, dice: Random, today: date) -> Json:
    """What a customer wants to insure. `number` is of one policy only: plates, passports and such are made of it."""
    return {"productCode": product, **_RISKS[product](number, dice, today)}


def change_of(product: str, number: int, dice: Random, insured: Json, today: date) -> Json:
    """What becomes different of what a policy insures, `insured` as the policy shows it."""
    codes = {item["coverageCode"] for item in insured.get("coverages", [])}
    choices = _CHANGES[product](number, dice, today)
    add, remove = _OPTIONAL[product]
    extra = dice.choice(add)
    choices.append({"coverages": {"remove": [extra]} if extra in codes else {"add": [{"coverageCode": extra}]}})
    choices += [{"coverages": {"remove": [remove]}}] if remove in codes and len(codes) > 2 else []
    return dice.choice(choices)


def name(dice: Random) -> str:
    """A person's name."""
    return f"{dice.choice(_NAMES)} {dice.choice(_SURNAMES)}"


def _born(dice: Random, today: date, youngest: int, oldest: int) -> str:
    return (today - timedelta(days=dice.randint(youngest * 366, oldest * 365))).isoformat()


def _plate(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    for _ in range(6):
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return f"{text[:2]}-{text[2:4]}-{text[4:]}"


def _motor(number: int, dice: Random, today: date) -> Json:
    # Now and then an underwriter has to decide: a car is precious.
    value = dice.randrange(3_000, 60_000, 500) if dice.random() < 0.96 else 120_000
    vehicle = {
        "plate": _plate(number),
        "vin": f"VF1RJA{number:011d}",
        "model": dice.choice(("Renault Clio", "Toyota Hilux", "Mazda Demio", "Dacia Duster")),
        "first_registered": (today - timedelta(days=dice.randint(30, 5_000))).isoformat(),
        "value": f"{value}.00",
        "engine_power": dice.choice((50, 66, 85, 96, 110)),
    }
    drivers = [{"name": name(dice), "date_of_birth": _born(dice, today, 31, 70)} for _ in range(dice.choice((1, 1, 2)))]
    coverages = [code for code in ("own_damage", "theft", "passenger_injury", "roadside") if dice.random() < 0.5]
    return {
        "objects": [{"objectCode": "vehicle", "fields": vehicle}]
        + [{"objectCode": "driver", "fields": driver} for driver in drivers],
        "answers": {
            "licence_years": dice.randint(2, 12),
            "annual_km": dice.randrange(3_000, 35_000, 1_000),
            "region": dice.choice(("lisbon", "porto", "coast", "inland", "islands")),
            "use": dice.choice(("private", "commuting", "business")),
            "claims_5_years": 0,
            "claim_free_years": dice.randint(0, 12),
            "garage": dice.random() < 0.5,
            "telematics": dice.random() < 0.2,
        },
        "coverages": [{"coverageCode": code} for code in coverages],
    }


def _home(number: int, dice: Random, today: date) -> Json:
    value = dice.randrange(1_000_000, 20_000_000, 50_000)
    house = {
        "address": f"Avenida Eduardo Mondlane {number}, Beira",
        "value": f"{value}.00",
        "area": dice.randint(40, 300),
        "construction": dice.choice(("masonry", "mixed", "timber")),
        "year_built": dice.randint(1955, 2024),
    }
    return {
        "objects": [{"objectCode": "house", "fields": house}],
        "answers": {
            "contents_value": f"{dice.randrange(50_000, 900_000, 10_000)}.00",
            "location": dice.choice(("maputo", "south", "centre", "north")),
            "near_water": dice.random() < 0.3,
            "alarm": dice.random() < 0.5,
            "occupied": dice.random() < 0.9,
            "claims_5_years": dice.choice((0, 0, 0, 1)),
            "mortgage": dice.choice(("none", "none", "bci", "bim")),
        },
        "coverages": [
            {"coverageCode": code} for code in ("contents", "liability", "natural_perils") if dice.random() < 0.6
        ],
    }


def _one_device(number: int, dice: Random, today: date) -> Json:
    fields = {
        "serial_number": f"SIM-{number:07d}-{dice.randrange(36**4):04X}",
        "model": dice.choice(("Fairphone 5", "Pixel 9", "Galaxy S24")),
        "category": dice.choice(("phone", "tablet", "laptop", "camera")),
        "bought": (today - timedelta(days=dice.randint(1, 600))).isoformat(),
        "price": f"{dice.randrange(100, 2_500, 10)}.00",
    }
    return {"objectCode": "device", "fields": fields}


def _device(number: int, dice: Random, today: date) -> Json:
    return {
        "objects": [_one_device(number, dice, today) for _ in range(dice.choice((1, 1, 2)))],
        "answers": {
            "use": dice.choice(("private", "business")),
            "abroad": dice.random() < 0.5,
            "claims_3_years": dice.choice((0, 0, 0, 1)),
        },
        "coverages": [{"coverageCode": code} for code in ("theft", "misuse") if dice.random() < 0.5],
    }


def _travel(number: int, dice: Random, today: date) -> Json:
    starts = today + timedelta(days=dice.randint(1, 60))
    travellers = [
        {"name": name(dice), "passport": f"S{number:06d}{place}", "date_of_birth": _born(dice, today, 19, 60)}
        for place in range(dice.choice((1, 2, 3)))
    ]
    return {
        "startDate": {"year": starts.year, "month": starts.month, "day": starts.day},
        "objects": [{"objectCode": "traveller", "fields": traveller} for traveller in travellers],
        "answers": {
            "trip_days": dice.randint(3, 80),
            "destination": dice.choice(("africa", "europe", "asia", "americas")),
            "purpose": dice.choice(("holiday", "family")),
            "sports": dice.random() < 0.2,
        },
        "coverages": [
            {"coverageCode": code} for code in ("cancellation", "baggage", "accident") if dice.random() < 0.6
        ],
    }


def _health(number: int, dice: Random, today: date) -> Json:
    def person(place: int, relation: str, born: str) -> Json:
        fields = {"name": name(dice), "health_number": f"{number * 10 + place:09d}", "date_of_birth": born}
        return {"objectCode": "person", "fields": {**fields, "relation": relation, "chronic": False}}

    persons = [person(1, "holder", _born(dice, today, 30, 60))]
    if dice.random() < 0.5:
        persons.append(person(2, "spouse", _born(dice, today, 25, 60)))
        persons += [person(3 + place, "child", _born(dice, today, 2, 18)) for place in range(dice.choice((0, 1, 2)))]
    return {
        "objects": persons,
        "answers": {
            "region": dice.choice(("lisbon", "porto", "other")),
            "network": dice.choice(("partners", "all")),
            "insured_since": (today - timedelta(days=dice.randint(30, 4_000))).isoformat(),
            "previous_insurer": "none",
        },
        "coverages": [{"coverageCode": code} for code in ("outpatient", "dental") if dice.random() < 0.5],
    }


def _term_life(number: int, dice: Random, today: date) -> Json:
    insured = {"name": name(dice), "tax_number": f"{number:09d}", "date_of_birth": _born(dice, today, 25, 60)}
    return {
        "objects": [{"objectCode": "insured", "fields": insured}],
        "answers": {
            "smoker": dice.random() < 0.3,
            "occupation": dice.choice(("office", "manual", "driving")),
            "height": dice.randint(155, 190),
            "weight": f"{dice.randint(55, 100)}.0",
            "hospital_days": 0,
            "cause_of_stay": "none",
            "physician": "Dr. Silva",
        },
        "coverages": [{"coverageCode": code} for code in ("accidental_death", "disability") if dice.random() < 0.4],
    }


def _motor_changes(number: int, dice: Random, today: date) -> list[Json]:
    driver = {"objectCode": "driver", "fields": {"name": name(dice), "date_of_birth": _born(dice, today, 26, 60)}}
    return [
        {"answers": {"annual_km": dice.randrange(3_000, 35_000, 1_000)}},
        {"answers": {"garage": dice.random() < 0.5, "use": dice.choice(("private", "commuting", "business"))}},
        {"objects": {"add": [driver]}, "answers": {"licence_years": dice.randint(2, 8)}},
        {"objects": {"change": [{"objectId": "vehicle_1", "fields": {"value": f"{dice.randint(3, 60)}000.00"}}]}},
        {"coverages": {"change": [{"coverageCode": "third_party", "limit": _limit(5_000_000)}]}},
    ]


def _home_changes(number: int, dice: Random, today: date) -> list[Json]:
    return [
        {"answers": {"contents_value": f"{dice.randrange(50_000, 900_000, 10_000)}.00"}},
        {"answers": {"alarm": dice.random() < 0.5, "occupied": dice.random() < 0.5}},
        {"objects": {"change": [{"objectId": "house_1", "fields": {"area": dice.randint(40, 400)}}]}},
    ]


def _device_changes(number: int, dice: Random, today: date) -> list[Json]:
    return [
        {"answers": {"abroad": dice.random() < 0.5, "use": dice.choice(("private", "business"))}},
        {"objects": {"add": [_one_device(number, dice, today)]}},
        {"objects": {"remove": ["device_2"]}},
        {"objects": {"change": [{"objectId": "device_1", "fields": {"price": f"{dice.randint(100, 2500)}.00"}}]}},
    ]


def _travel_changes(number: int, dice: Random, today: date) -> list[Json]:
    return [
        {"answers": {"sports": dice.random() < 0.5}},
        {"answers": {"destination": dice.choice(("africa", "europe", "asia", "americas"))}},
    ]


def _health_changes(number: int, dice: Random, today: date) -> list[Json]:
    place = dice.randint(6, 9)
    child = {"health_number": f"{number * 10 + place:09d}", "date_of_birth": _born(dice, today, 1, 10)}
    child |= {"name": name(dice), "relation": "child"}
    return [
        {"answers": {"network": dice.choice(("partners", "all"))}},
        {"answers": {"region": dice.choice(("lisbon", "porto", "other"))}},
        {"objects": {"add": [{"objectCode": "person", "fields": {**child, "chronic": False}}]}},
        {"objects": {"remove": ["person_2"]}},
    ]


def _term_life_changes(number: int, dice: Random, today: date) -> list[Json]:
    return [
        {"answers": {"smoker": dice.random() < 0.5}},
        {"answers": {"occupation": dice.choice(("office", "manual", "driving"))}},
        {"coverages": {"change": [{"coverageCode": "death", "limit": _limit(dice.choice((100_000, 250_000)))}]}},
    ]


def _limit(units: int) -> Json:
    return {"currencyCode": "EUR", "units": str(units)}


_RISKS: Final[dict[str, Callable[[int, Random, date], Json]]] = {
    "motor": _motor,
    "home": _home,
    "device": _device,
    "travel": _travel,
    "health": _health,
    "term_life": _term_life,
}
_CHANGES: Final[dict[str, Callable[[int, Random, date], list[Json]]]] = {
    "motor": _motor_changes,
    "home": _home_changes,
    "device": _device_changes,
    "travel": _travel_changes,
    "health": _health_changes,
    "term_life": _term_life_changes,
}
# Coverages that are added or given up, and one that is given up where it is there.
_OPTIONAL: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "motor": (("theft", "roadside", "passenger_injury"), "own_damage"),
    "home": (("contents", "liability"), "natural_perils"),
    "device": (("theft", "misuse"), "misuse"),
    "travel": (("baggage", "accident"), "cancellation"),
    "health": (("outpatient", "dental", "second_opinion"), "dental"),
    "term_life": (("disability", "accidental_death"), "disability"),
}
PRODUCTS: Final = tuple(_RISKS)
"""The products that are bought, in the order in which policies take turns."""
NOT_RENEWED: Final = frozenset({"travel"})
"""Products whose policies have one term."""
