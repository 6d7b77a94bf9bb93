"""The monolith's answer: the same JSON as the platform's, straight from the rows, with no class in between."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from libs import ids
from libs.money import Money


def policy_of(rows: Any, now: datetime) -> dict[str, Any]:
    """The policy as it stands at a moment, out of the rows of its current term."""
    first = rows[0]
    segments = [_segment(row) for row in rows]
    net, tax, fees = (sum(column) for column in zip(*((row.net, row.tax, row.fees) for row in rows), strict=True))
    state = _state(first, now)
    shown = {
        "policyId": ids.encode("pol", first.id),
        "policyNumber": first.number,
        "userId": ids.encode("usr", first.user_id),
        "quoteId": ids.encode("quo", first.quote_id),
        "productCode": first.product_code,
        "productVersion": first.product_version,
        "state": f"STATE_{state}",
        "term": {
            "termNumber": first.term_number,
            "startDate": _date(first.term_starts_on),
            "endDate": _date(first.term_ends_on),
            "premium": _premium(net, tax, fees, first.currency),
            "segments": segments,
        },
        "coverages": segments[-1]["coverages"],
        "planCode": first.plan_code,
        "issueTime": _time(first.issued_at),
    }
    if first.activated_at is not None:
        shown["activateTime"] = _time(first.activated_at)
    shown["etag"] = f"{first.version}-{state.lower()}"
    return shown


def _state(row: Any, now: datetime) -> str:
    if row.activated_at is None:
        return "PENDING"
    return "EXPIRED" if now.astimezone(ZoneInfo(row.time_zone)).date() >= row.term_ends_on else "IN_FORCE"


def _segment(row: Any) -> dict[str, Any]:
    return {
        "segmentNumber": row.segment_number,
        "startDate": _date(row.starts_on),
        "endDate": _date(row.ends_on),
        "coverages": [
            _coverage(*code_limit_deductible, currency=row.currency) for code_limit_deductible in row.coverages
        ],
        "premium": _premium(row.net, row.tax, row.fees, row.currency),
    }


def _coverage(code: str, limit: int | None, deductible: int | None, *, currency: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"coverageCode": code}
    if limit is not None:
        shown["limit"] = _money(limit, currency)
    if deductible is not None:
        shown["deductible"] = _money(deductible, currency)
    return shown


def _premium(net: int, tax: int, fees: int, currency: str) -> dict[str, Any]:
    amounts = {"net": net, "tax": tax, "fees": fees, "total": net + tax + fees}
    return {name: _money(minor, currency) for name, minor in amounts.items()}


def _money(minor: int, currency: str) -> dict[str, Any]:
    units, nanos = Money(minor, currency).to_units()
    return {"currencyCode": currency, "units": str(units), "nanos": nanos}


def _date(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
