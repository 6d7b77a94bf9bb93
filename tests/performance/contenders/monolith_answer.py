"""The monolith's answer: the same JSON as the platform's, made of whatever has the columns as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.performance.contenders.platform_code import Money, ids


def policy_of(policy: Any, term: tuple[int, date, date], segments: Sequence[Any], now: datetime) -> dict[str, Any]:
    """The policy as it stands at a moment, with its current term and the segments of it."""
    number, starts_on, ends_on = term
    shown_segments = [_segment(segment) for segment in segments]
    net, tax, fees = (sum(amounts) for amounts in zip(*((s.net, s.tax, s.fees) for s in segments), strict=True))
    state = _state(policy, ends_on, now)
    shown = {
        "policyId": ids.encode("pol", policy.id),
        "policyNumber": policy.number,
        "userId": ids.encode("usr", policy.user_id),
        "quoteId": ids.encode("quo", policy.quote_id),
        "productCode": policy.product_code,
        "productVersion": policy.product_version,
        "state": f"STATE_{state}",
        "term": {
            "termNumber": number,
            "startDate": _date(starts_on),
            "endDate": _date(ends_on),
            "premium": _premium(net, tax, fees, segments[0].currency),
            "segments": shown_segments,
        },
        "coverages": shown_segments[-1]["coverages"],
        "planCode": policy.plan_code,
        "issueTime": _time(policy.issued_at),
    }
    if policy.activated_at is not None:
        shown["activateTime"] = _time(policy.activated_at)
    shown["etag"] = f"{policy.version}-{state.lower()}"
    return shown


def _state(policy: Any, ends_on: date, now: datetime) -> str:
    if policy.activated_at is None:
        return "PENDING"
    return "EXPIRED" if now.astimezone(ZoneInfo(policy.time_zone)).date() >= ends_on else "IN_FORCE"


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
