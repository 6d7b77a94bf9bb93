"""What `bazarutod policy show` draws of policies in different states."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

import pytest
from rich.console import Console

from bazarutod.policy import picture, showing

START, MIDDLE, END = date(2026, 12, 1), date(2027, 5, 1), date(2027, 12, 1)
TODAY = date(2027, 2, 15)


def day(value: date) -> dict[str, int]:
    return {"year": value.year, "month": value.month, "day": value.day}


def money(text: str) -> dict[str, Any]:
    units, _, cents = text.lstrip("-").partition(".")
    sign = -1 if text.startswith("-") else 1
    return {"currencyCode": "EUR", "units": str(sign * int(units)), "nanos": sign * int(f"{cents or 0:0<9}")}


def segment(starts_on: date, ends_on: date, net: str, **more: Any) -> dict[str, Any]:
    return {"startDate": day(starts_on), "endDate": day(ends_on), "net": money(net), **more}


def term(number: int, starts_on: date, *segments: dict[str, Any], total: str = "234.00") -> dict[str, Any]:
    days = {"startDate": day(starts_on), "endDate": day(starts_on.replace(year=starts_on.year + 1))}
    return {"termNumber": number, **days, "premium": {"total": money(total)}, "segments": list(segments)}


def issued(sequence: int, kind: str, effective: date, total: str = "", **more: Any) -> dict[str, Any]:
    change = {"change": {"total": money(total)}} if total else {}
    days = {"effectiveDate": day(effective), "issueTime": f"{START - timedelta(days=9)}T09:30:00Z"}
    return {"sequence": sequence, "type": f"TYPE_{kind}", **days, "actor": "usr_01m8", **change, **more}


def seen(state: str, terms: list[Any], transactions: list[Any], **more: Any) -> dict[str, Any]:
    policy = {
        "policyNumber": "MOT-2026-000042",
        "productCode": "motor",
        "state": f"STATE_{state}",
        "customerId": "cus_1",
    }
    return {"policy": policy, "terms": terms, "transactions": transactions, "account": None, "ledger": None, **more}


def drawn(what: dict[str, Any], width: int = 80, today: date = TODAY) -> str:
    """The picture as a file gets it."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(picture.of_policy(what, today, width))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines()), "it fits the terminal"
    assert "\x1b" not in text, "a file gets no colours"
    return text


WHOLE = segment(START, END, "200.00")
NEW = issued(1, "NEW_BUSINESS", START, "234.00")
LEDGER = [
    {"item": f"ITEM_{name}", "billed": money(value), "difference": money("0")}
    for name, value in {
        "PREMIUM": "200", "TAX": "34.50", "FEES": "10",
        "UNBILLED": "100", "OPEN": "44.50", "PAID": "100", "CREDIT": "0",
    }.items()
]  # fmt: skip


def test_unpaid_policy_is_drawn_over_its_months_with_what_is_owed() -> None:
    account = {"pastDue": money("44.50"), "nextDueDate": day(START)}
    what = seen("PENDING", [term(1, START, WHOLE)], [NEW], ledger=LEDGER, account=account)
    text = drawn(what)
    assert text.splitlines()[0] == "MOT-2026-000042  motor  pending"
    assert "term 1      " + "█" * 68 in text
    assert "2026-12-01 to 2027-12-01, 234.00 EUR" in text
    assert "D    J     F    M     A     M    J     J" in text
    rows = {line.split("  ")[0]: line.split()[-2:] for line in text.splitlines() if line.endswith("EUR")}
    assert (rows["written"], rows["billed"], rows["paid"]) == (
        ["244.50", "EUR"], ["144.50", "EUR"], ["100.00", "EUR"],
    )  # fmt: skip
    assert (rows["open"], rows["past due"]) == (["44.50", "EUR"], ["44.50", "EUR"])
    assert text.splitlines()[-1].split() == ["next", "due", "2026-12-01"]


def test_endorsed_policy_shows_its_segments_and_what_changed() -> None:
    segments = segment(START, MIDDLE, "82.74"), segment(MIDDLE, END, "140.00")
    endorsed = issued(2, "ENDORSEMENT", MIDDLE, "22.74", changes=["annual_km: 12000 → 20000"], reason="moved")
    text = drawn(seen("IN_FORCE", [term(1, START, *segments)], [NEW, endorsed]))
    [bar] = [line for line in text.splitlines() if line.startswith("term 1")]
    assert set(bar[12:]) == {"█", "▓"}
    assert bar.index("▓") - 12 == 68 * (MIDDLE - START).days // 365
    assert "endorsement" in text
    assert "+22.74 EUR" in text
    assert "moved by usr_01m8" in text
    assert "annual_km: 12000 → 20000" in text
    assert "▲ today" in text


def test_days_without_cover_are_dotted_and_named() -> None:
    lapsed, again = date(2027, 3, 1), date(2027, 4, 1)
    cut = seen("CANCELLED", [term(1, START, segment(START, MIDDLE, "82.74"))], [NEW])
    assert "cover ends on 2027-05-01" in drawn(cut)
    gap = [segment(START, lapsed, "49.32"), segment(again, END, "133.70")]
    text = drawn(seen("IN_FORCE", [term(1, START, *gap)], [NEW, issued(2, "REINSTATEMENT", again, "133.70")]))
    [bar] = [line for line in text.splitlines() if line.startswith("term 1")]
    assert "█·" in bar
    assert "·▓" in bar
    assert "2027-03-01 to 2027-04-01: no cover" in text
    flat = drawn(seen("CANCELLED", [term(1, START, total="0")], [NEW, issued(2, "CANCELLATION", START, "-234.00")]))
    assert "no day is covered" in flat
    assert "-234.00 EUR" in flat


@pytest.mark.parametrize("width", [60, 80, 132])
def test_renewed_policy_has_its_terms_below_each_other(width: int) -> None:
    terms = [term(1, START, WHOLE), term(2, END, segment(END, END.replace(year=2028), "210.00"))]
    text = drawn(seen("IN_FORCE", terms, [NEW, issued(3, "RENEWAL", END, "245.70")]), width)
    first, second = (line for line in text.splitlines() if line.startswith("term "))
    assert len(first) == 12 + (width - 12) * 365 // 731
    assert second[12 : len(first)].isspace()
    assert second.endswith("█")


def test_flags_payer_and_partner_are_named_where_there_are_any() -> None:
    what = seen("IN_FORCE", [term(1, START, WHOLE)], [NEW])
    what["policy"] |= {"flags": ["FLAG_DELINQUENT", "FLAG_CANCEL_PENDING"], "payerId": "cus_2", "partnerId": "par_1"}
    text = drawn(what)
    assert "delinquent, cancel pending" in text
    assert "payer cus_2" in text
    assert "partner par_1" in text


def test_changes_are_those_of_the_risk_from_the_day_on() -> None:
    car = {"objectId": "vehicle_1", "identifier": "AA-1", "fields": {"plate": "AA-1", "value": "18000.00"}}
    other = {"objectId": "driver_1", "identifier": "", "fields": {}}
    glass = {"coverageCode": "glass"}
    damage = {"coverageCode": "own_damage", "deductible": money("500")}
    before = segment(START, END, "1", answers={"annual_km": 1}, objects=[car], coverages=[damage, glass])
    after = segment(
        MIDDLE, END, "1",
        answers={"annual_km": 2},
        objects=[{**car, "fields": {"plate": "AA-1", "value": "9000.00"}}, other],
        coverages=[{**damage, "deductible": money("250")}],
    )  # fmt: skip
    result = {"before": [before], "after": [segment(START, MIDDLE, "1"), after]}
    assert showing.changes(result, MIDDLE) == [
        "− glass",
        "+ driver_1",
        "annual_km: 1 → 2",
        "vehicle_1.value: 18000.00 → 9000.00",
        "own_damage.deductible: 500.00 EUR → 250.00 EUR",
    ]
