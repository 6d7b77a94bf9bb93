"""`bazarutod policy show`: all that the public API says of a policy, read and printed."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime, time
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from rich.console import Console

from bazarutod.policy import picture
from libs import clock

_WIDTH = 80  # characters, where the output is no terminal
_HIDDEN = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_OPENING = ("TYPE_NEW_BUSINESS", "TYPE_RENEWAL")
Resource = dict[str, Any]


def run(gateway: str, email: str, password: str, number: str, *, as_json: bool) -> None:
    """Log in, and print the policy of that number."""
    try:
        with httpx.Client(base_url=gateway, timeout=30) as http:
            seen = read(http, email, password, number)
    except httpx.TransportError as error:
        sys.exit(f"The gateway at {gateway} does not answer ({error}). Is the platform running? Start it: make run")
    if as_json:
        sys.stdout.write(json.dumps(seen, indent=2) + "\n")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    console.print(picture.of_policy(seen, clock.now().date(), console.width))


def read(http: httpx.Client, email: str, password: str, number: str) -> Resource:
    """The policy of that number with its terms, transactions and money, as far as that user is shown them."""
    tokens = _answer(http.post("/v1/auth/login", json={"email": email, "password": password}))
    http.headers["authorization"] = f"Bearer {tokens['accessToken']}"
    policies = _get(http, "/v1/policies", policyNumber=number).get("policies", [])
    if not policies:
        sys.exit(f"There is no policy {number}, or {email} is not shown it.")
    policy = policies[0]
    path = f"/v1/policies/{policy['policyId']}"
    transactions = _transactions(http, path)
    accounts = _get(http, "/v1/billingAccounts", policyId=policy["policyId"]).get("billingAccounts", [])
    return {
        "policy": policy,
        "terms": _terms(http, path, policy, transactions),
        "transactions": transactions,
        "account": accounts[0] if accounts else None,
        "ledger": _ledger(http, path),
    }


def _transactions(http: httpx.Client, path: str) -> list[Resource]:
    """The stack, oldest first; what changed on the risk stands beside those that changed it."""
    stack: list[Resource] = []
    token = ""
    while True:
        page = _get(http, f"{path}/transactions", pageSize=100, pageToken=token)
        stack += page.get("transactions", [])
        token = page.get("nextPageToken", "")
        if not token:
            break
    for transaction in stack:
        if transaction["type"] == "TYPE_ENDORSEMENT":
            whole = _get(http, f"{path}/transactions/{transaction['transactionId']}")
            transaction["changes"] = changes(whole, day_of(transaction["effectiveDate"]))
    return stack


def _terms(http: httpx.Client, path: str, policy: Resource, transactions: list[Resource]) -> list[Resource]:
    """Each term as it stands now; a term that is taken back has no segments."""
    zone = ZoneInfo(policy["timeZone"])
    terms: dict[int, Resource] = {}
    for transaction in transactions:
        if transaction["type"] in _OPENING:
            noon = datetime.combine(day_of(transaction["effectiveDate"]), time(12), zone).astimezone(UTC)
            term = _get(http, path, effectiveTime=noon.isoformat().replace("+00:00", "Z"))["term"]
            terms[term["termNumber"]] = term
    return [terms[number] for number in sorted(terms)] or [policy["term"]]


def _ledger(http: httpx.Client, path: str) -> list[Resource] | None:
    """What billing and ledger say of the policy; None for who is not shown it."""
    answer = http.get(f"{path}/ledger")
    if answer.status_code in _HIDDEN:
        return None
    return list(_answer(answer).get("lines", []))


def changes(transaction: Resource, day: date) -> list[str]:
    """What is different from a day on, by the segments of before and after: answers, objects and coverages."""
    before, after = (_on(transaction.get(name, []), day) for name in ("before", "after"))
    if before is None or after is None:
        return []
    differences = []
    for sign, one, other in (("−", before, after), ("+", after, before)):
        for name, known in (("objects", "objectId"), ("coverages", "coverageCode")):
            kept = {item[known] for item in other.get(name, [])}
            differences += [f"{sign} {_named(item, known)}" for item in one.get(name, []) if item[known] not in kept]
    differences += _differing("", before.get("answers", {}), after.get("answers", {}))
    for name, known in (("objects", "objectId"), ("coverages", "coverageCode")):
        old = {item[known]: item for item in before.get(name, [])}
        for item in after.get(name, []):
            if item[known] in old:
                differences += _differing(f"{item[known]}.", _flat(old[item[known]]), _flat(item))
    return differences


def _on(segments: list[Resource], day: date) -> Resource | None:
    """The segment of a day; before all of them the first."""
    behind = [segment for segment in segments if day < day_of(segment["endDate"])]
    return behind[0] if behind else None


def _named(item: Resource, known: str) -> str:
    identifier = item.get("identifier", "")
    return f"{item[known]} ({identifier})" if identifier else str(item[known])


def _flat(item: Resource) -> Resource:
    """The values of an object or a coverage, beside each other."""
    amounts = {name: picture.amount(item[name]) for name in ("limit", "deductible") if item.get(name)}
    return {**item.get("fields", {}), **amounts}


def _differing(prefix: str, before: Resource, after: Resource) -> list[str]:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{prefix}{name}: {before.get(name, '–')} → {after.get(name, '–')}" for name in names]


def day_of(value: Resource) -> date:
    """The day of a date as the API writes it."""
    return date(value["year"], value["month"], value["day"])


def _get(http: httpx.Client, path: str, **query: Any) -> Resource:
    return _answer(http.get(path, params={name: value for name, value in query.items() if value != ""}))


def _answer(answer: httpx.Response) -> Resource:
    """The resource; ends the program with the platform's own words when the call failed."""
    if answer.is_error:
        sys.exit(f"{answer.request.method} {answer.request.url.path} failed with {answer.status_code}: {answer.text}")
    return dict(answer.json())
