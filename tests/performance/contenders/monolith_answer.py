"""The monolith's answer: the same JSON as the platform's, made of whatever has the columns as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.performance.contenders.platform_code import Money, ids


@dataclass(frozen=True, slots=True)
class Term:
    """The newest version of a term, with its segments in order."""

    number: int
    starts_on: date
    ends_on: date
    cover_starts_at: datetime | None
    product_version: int
    currency: str
    charges: Sequence[Sequence[Any]]
    segments: Sequence[Any]


def policy_of(policy: Any, terms: Sequence[Term], now: datetime) -> dict[str, Any]:
    """The policy as it stands at a moment: the term of the moment, and what is insured in it."""
    zone = ZoneInfo(policy.time_zone)
    today = now.astimezone(zone).date()
    term = next((term for term in reversed(terms) if term.starts_on <= today), terms[0])
    segment = next((segment for segment in term.segments if today < segment.ends_on), term.segments[-1])
    state = _state(terms, today, now)
    ends_on = term.segments[-1].ends_on
    shown = {
        "policyId": ids.encode("pol", policy.id),
        "policyNumber": policy.number,
        "userId": ids.encode("usr", policy.created_by),
        "quoteId": ids.encode("quo", policy.quote_id),
        "productCode": policy.product_code,
        "productVersion": term.product_version,
        "state": f"STATE_{state}",
        "term": _term(term),
        "coverages": _coverages(segment, term.currency),
        "planCode": policy.plan_code,
        "issueTime": _time(policy.issued_at),
        "etag": f"{policy.version}-{state.lower()}",
        "customerId": ids.encode("cus", policy.user_id),
        "payerId": ids.encode("cus", policy.payer_id),
        "partnerId": "",
        "timeZone": policy.time_zone,
        "objects": _objects(segment),
        "coverEndTime": _time(datetime(ends_on.year, ends_on.month, ends_on.day, tzinfo=zone)),
    }
    if policy.activated_at is not None:
        shown["activateTime"] = _time(policy.activated_at)
    if term.cover_starts_at is not None:
        shown["coverStartTime"] = _time(term.cover_starts_at)
    return shown


def _state(terms: Sequence[Term], today: date, now: datetime) -> str:
    paid = [term for term in terms if term.cover_starts_at is not None]
    if not paid:
        return "PENDING" if today <= terms[0].starts_on else "NOT_TAKEN"
    if any(term.cover_starts_at <= now and _covers(term, today) for term in paid if term.cover_starts_at):
        return "IN_FORCE"
    return "EXPIRED" if today >= paid[-1].segments[-1].ends_on else "SCHEDULED"


def _covers(term: Term, day: date) -> bool:
    return any(segment.starts_on <= day < segment.ends_on for segment in term.segments)


def _term(term: Term) -> dict[str, Any]:
    """A term whose segments share its price by their days."""
    days = (term.ends_on - term.starts_on).days
    amounts = [
        [round(minor * (segment.ends_on - segment.starts_on).days / days) for _, _, minor in segment.lines]
        for segment in term.segments
    ]
    starts_on, ends_on = _date(term.starts_on), _date(term.ends_on)
    sums = dict.fromkeys(("premium", "tax", "fee"), 0)
    lines = []
    for segment, shares in zip(term.segments, amounts, strict=True):
        for (object_id, coverage_code, _), amount in zip(segment.lines, shares, strict=True):
            sums["premium"] += amount
            line = ("premium", object_id, coverage_code, "", amount)
            lines.append(_line(line, starts_on, ends_on, term, is_commissionable=True))
    for charge in term.charges:
        sums[charge[0]] += charge[4]
        lines.append(_line(charge, starts_on, starts_on, term, is_commissionable=False))
    parts = {"net": sums["premium"], "tax": sums["tax"], "fees": sums["fee"], "total": sum(sums.values())}
    return {
        "termNumber": term.number,
        "startDate": starts_on,
        "endDate": ends_on,
        "premium": {name: _money(minor, term.currency) for name, minor in parts.items()} | {"lines": lines},
        "segments": [
            _segment(segment, shares, term.currency) for segment, shares in zip(term.segments, amounts, strict=True)
        ],
    }


def _line(
    line: Sequence[Any], start: dict[str, int], end: dict[str, int], term: Term, *, is_commissionable: bool
) -> dict[str, Any]:
    kind, object_id, coverage_code, charge_code, minor = line
    return {
        "kind": f"KIND_{kind.upper()}",
        "coverageCode": coverage_code,
        "chargeCode": charge_code,
        "startDate": start,
        "endDate": end,
        "amount": _money(minor, term.currency),
        "commissionable": is_commissionable,
        "objectId": object_id,
        "termNumber": term.number,
    }


def _segment(row: Any, shares: Sequence[int], currency: str) -> dict[str, Any]:
    return {
        "segmentNumber": row.segment_number,
        "startDate": _date(row.starts_on),
        "endDate": _date(row.ends_on),
        "coverages": _coverages(row, currency),
        "net": _money(sum(shares), currency),
        "answers": row.answers,
        "objects": _objects(row),
        "lines": [
            {
                "coverageCode": coverage_code,
                "objectId": object_id,
                "fullTermAmount": _money(full_term, currency),
                "amount": _money(amount, currency),
            }
            for (object_id, coverage_code, full_term), amount in zip(row.lines, shares, strict=True)
        ],
    }


def _coverages(row: Any, currency: str) -> list[dict[str, Any]]:
    return [_coverage(*code_limit_deductible, currency=currency) for code_limit_deductible in row.coverages]


def _coverage(code: str, limit: int | None, deductible: int | None, *, currency: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"coverageCode": code}
    if limit is not None:
        shown["limit"] = _money(limit, currency)
    if deductible is not None:
        shown["deductible"] = _money(deductible, currency)
    return shown


def _objects(row: Any) -> list[dict[str, Any]]:
    return [
        {"objectId": object_id, "objectCode": code, "identifier": identifier, "fields": fields}
        for object_id, code, fields, identifier in row.objects
    ]


def _money(minor: int, currency: str) -> dict[str, Any]:
    units, nanos = Money(minor, currency).to_units()
    return {"currencyCode": currency, "units": str(units), "nanos": nanos}


def _date(day: date) -> dict[str, int]:
    return {"year": day.year, "month": day.month, "day": day.day}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
