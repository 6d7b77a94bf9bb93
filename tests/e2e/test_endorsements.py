"""Changes of a policy over HTTP: up, down, out of sequence; what is told before is what is done and what is booked."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from libs.identity.authority import Authority
from tests.support.buyer import Buyer
from tests.support.people import People
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

Json = dict[str, Any]
IN_TWO_MONTHS = datetime.now(UTC).date() + timedelta(days=60)
IN_FOUR_MONTHS = datetime.now(UTC).date() + timedelta(days=120)
ACCOUNTS = {"2000": "KIND_PREMIUM", "2100": "KIND_TAX"}


@pytest.fixture
def policy(buyer: Buyer) -> Json:
    """A policy that is paid in twelve installments, the first of them paid."""
    issued = buyer.issue(planCode="monthly")
    buyer.pay(buyer.invoice_of(issued))
    return buyer.in_force(issued)


@pytest.fixture
def underwriter(platform: Platform, buyer: Buyer) -> Buyer:
    people = People.trusting(platform.settings.auth)
    token = people.user("underwriter", authority=Authority(underwriting_level=9)).authorization
    return Buyer(buyer.http, token.removeprefix("Bearer "))


@pytest.fixture
def finance(platform: Platform, buyer: Buyer) -> Buyer:
    token = People.trusting(platform.settings.auth).user("finance").authorization
    return Buyer(buyer.http, token.removeprefix("Bearer "))


def on(day: date) -> Json:
    return {"year": day.year, "month": day.month, "day": day.day}


def money(amount: Json) -> Decimal:
    return Decimal(amount.get("units", 0)) + Decimal(amount.get("nanos", 0)) / 10**9


def post(who: Buyer, path: str, body: Json) -> Json:
    return who.call("POST", path, body, key=secrets.token_hex(16))


def refusal(who: Buyer, path: str, body: Json, **headers: str) -> tuple[str, Json]:
    """The reason for which a call is refused, and what it says of it."""
    headers = {"authorization": f"Bearer {who.token}", "idempotency-key": secrets.token_hex(16), **headers}
    answer = who.http.post(path, json=body, headers=headers)
    assert answer.is_error, answer.text
    detail = next(item for item in answer.json()["error"]["details"] if "reason" in item)
    return detail["reason"], detail.get("metadata", {})


def quoted(who: Buyer, policy: Json, day: date, **change: Any) -> Json:
    return post(who, f"/v1/policies/{policy['policyId']}:quoteEndorsement", {"effectiveDate": on(day), **change})


def accepted(who: Buyer, policy: Json, day: date, **change: Any) -> Json:
    answer = quoted(who, policy, day, **change)
    post(who, f"/v1/quotes/{answer['quote']['quoteId']}:accept", {})
    return answer


def endorsed(who: Buyer, policy: Json, answer: Json, **fields: Any) -> Json:
    body = {"quoteId": answer["quote"]["quoteId"], **fields}
    return post(who, f"/v1/policies/{policy['policyId']}:endorse", body)


def lines_of(result: Json) -> dict[tuple[str, str, str, str], Decimal]:
    lines = result["change"]["lines"]
    return {
        (line["kind"], line.get("objectId", ""), line.get("coverageCode", ""), line.get("chargeCode", "")): money(
            line["amount"]
        )
        for line in lines
    }


def booked(finance: Buyer, policy: Json, transaction: Json) -> dict[str, Decimal]:
    """What was credited to the accounts of premium and tax by the journal of a transaction."""
    path = f"/v1/ledger/journals?policyId={policy['policyId']}&pageSize=100"
    source = transaction["transactionId"]
    page = finance.wait(path, lambda page: any(item["sourceId"] == source for item in page.get("journals", [])))
    sums = dict.fromkeys(ACCOUNTS, Decimal(0))
    for journal in page["journals"]:
        for posting in journal["postings"] if journal["sourceId"] == source else ():
            if posting["accountCode"] in sums:
                sign = 1 if posting["side"] == "SIDE_CREDIT" else -1
                sums[posting["accountCode"]] += sign * money(posting["amount"])
    return sums


def stack_of(who: Buyer, policy: Json) -> list[str]:
    page = who.call("GET", f"/v1/policies/{policy['policyId']}/transactions?pageSize=100")
    return [item["type"] for item in page["transactions"]]


def test_policy_is_changed_up_and_down_and_out_of_sequence(
    buyer: Buyer, finance: Buyer, policy: Json, platform: Platform
) -> None:
    premium = money(policy["term"]["premium"]["total"])
    driver = {"objectCode": "driver", "fields": {"name": "Rui Macuácua", "date_of_birth": "2004-02-01"}}
    requests: list[tuple[date, Json]] = [
        (IN_FOUR_MONTHS, {"objects": {"add": [driver]}, "answers": {"licence_years": 3, "annual_km": 20000}}),
        (IN_FOUR_MONTHS + timedelta(days=30), {"objects": {"remove": ["driver_2"]}, "answers": {"licence_years": 12}}),
        (IN_TWO_MONTHS, {"answers": {"annual_km": 7000}, "coverages": {"add": [{"coverageCode": "theft"}]}}),
    ]
    results = []
    for day, change in requests:
        answer = accepted(buyer, policy, day, **change)
        preview = endorsed(buyer, policy, answer, validateOnly=True)
        result = endorsed(buyer, policy, answer)
        assert lines_of(answer["result"]) == lines_of(preview) == lines_of(result)
        assert answer["result"]["after"] == preview["after"] == result["after"]
        assert preview["installments"] == result["installments"]
        sums = booked(finance, policy, result["transaction"])
        told = {
            kind: sum(amount for key, amount in lines_of(result).items() if key[0] == kind)
            for kind in ACCOUNTS.values()
        }
        assert sums == {account: told[kind] for account, kind in ACCOUNTS.items()}
        results.append(result)
        if day == IN_TWO_MONTHS:
            (conflict,) = answer["conflicts"]
            assert conflict["path"] == "answers.annual_km"
            assert conflict["transactionId"] == results[0]["transaction"]["transactionId"]
    up, down, early = (money(result["change"]["total"]) for result in results)
    assert up > 0 > down
    now = buyer.call("GET", f"/v1/policies/{policy['policyId']}")
    assert money(now["term"]["premium"]["total"]) == premium + up + down + early
    answers = [segment["answers"]["annual_km"] for segment in now["term"]["segments"]]
    assert answers == [12000, 7000, 20000, 20000]
    assert [len(segment["objects"]) for segment in now["term"]["segments"]] == [2, 2, 3, 2]
    ledger = finance.call("GET", f"/v1/policies/{policy['policyId']}/ledger")
    assert [money(line["difference"]) for line in ledger["lines"]] == [0] * len(ledger["lines"])
    quote = buyer.wait(f"/v1/quotes/{answer['quote']['quoteId']}", lambda resource: resource["state"] == "STATE_BOUND")
    assert quote["transactionId"] == results[-1]["transaction"]["transactionId"]


def test_two_calls_at_once_issue_a_quote_once(buyer: Buyer, policy: Json) -> None:
    answer = accepted(buyer, policy, IN_TWO_MONTHS, answers={"annual_km": 20000})
    path = f"/v1/policies/{policy['policyId']}:endorse"

    def issue(_: int) -> httpx.Response:
        headers = {"authorization": f"Bearer {buyer.token}", "idempotency-key": secrets.token_hex(16)}
        return buyer.http.post(path, json={"quoteId": answer["quote"]["quoteId"]}, headers=headers)

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(response.status_code for response in pool.map(issue, range(4)))
    assert codes == [200, 409, 409, 409]
    assert stack_of(buyer, policy).count("TYPE_ENDORSEMENT") == 1


def test_what_keeps_a_change_from_being_made_is_told_and_nothing_is_changed(
    buyer: Buyer, underwriter: Buyer, policy: Json
) -> None:
    path = f"/v1/policies/{policy['policyId']}"
    today, more = datetime.now(UTC).date(), {"answers": {"annual_km": 20000}}
    before = buyer.call("GET", path)

    def asked(day: date, **change: Any) -> tuple[str, Json]:
        return refusal(buyer, f"{path}:quoteEndorsement", {"effectiveDate": on(day), **change})

    assert asked(today + timedelta(days=400), **more)[0] == "EFFECTIVE_DATE_INVALID"
    assert asked(today - timedelta(days=9), **more)[0] == "EFFECTIVE_DATE_INVALID"
    assert asked(IN_TWO_MONTHS)[0] == "CHANGE_EMPTY"
    assert asked(IN_TWO_MONTHS, answers={"annual_km": 12000})[0] == "CHANGE_EMPTY"
    assert asked(IN_TWO_MONTHS, answers={"wings": 2}) == ("ANSWER_INVALID", {"question": "wings"})
    assert asked(IN_TWO_MONTHS, objects={"remove": ["vehicle_1"]})[0] == "OBJECT_INVALID"
    assert asked(IN_TWO_MONTHS, objects={"remove": ["car_9"]})[0] == "INVALID_FIELD"
    assert asked(IN_TWO_MONTHS, coverages={"add": [{"coverageCode": "own_damage"}]})[0] == "INVALID_FIELD"
    stale = refusal(
        buyer, f"{path}:quoteEndorsement", {"effectiveDate": on(IN_TWO_MONTHS), **more}, **{"if-match": '"0"'}
    )
    assert stale[0] == "CONCURRENT_CHANGE"
    first = quoted(buyer, policy, IN_TWO_MONTHS, **more)
    body = {"quoteId": first["quote"]["quoteId"]}
    assert refusal(buyer, f"{path}:endorse", body) == ("QUOTE_NOT_ACCEPTED", {"state": "quoted"})
    second = accepted(buyer, policy, IN_TWO_MONTHS, answers={"annual_km": 30000})
    assert buyer.call("GET", path) == before
    post(buyer, f"/v1/quotes/{first['quote']['quoteId']}:accept", {})
    endorsed(buyer, policy, first)
    changed = buyer.call("GET", path)
    assert refusal(buyer, f"{path}:endorse", {"quoteId": second["quote"]["quoteId"]})[0] == "QUOTE_OUTDATED"
    assert refusal(buyer, f"{path}:endorse", {"quoteId": policy["quoteId"]})[0] == "QUOTE_STATE_INVALID"
    assert refusal(buyer, f"{path}:endorse", body)[0] == "POLICY_ALREADY_ISSUED"
    refuse = {"onConflict": "ON_CONFLICT_REFUSE", "answers": {"annual_km": 1000}}
    assert asked(today + timedelta(days=3), **refuse) == (
        "CHANGE_CONFLICTS",
        {"sequence": "3", "path": "answers.annual_km"},
    )
    other = buyer.issue()
    pending = refusal(
        buyer, f"/v1/policies/{other['policyId']}:quoteEndorsement", {"effectiveDate": on(IN_TWO_MONTHS), **more}
    )
    assert pending == ("POLICY_STATE_INVALID", {"state": "pending"})
    taken = other["objects"][0]["fields"]["plate"]
    plate = {"change": [{"objectId": "vehicle_1", "fields": {"plate": taken}}]}
    third = accepted(buyer, policy, IN_TWO_MONTHS, objects=plate)
    again = {"quoteId": third["quote"]["quoteId"]}
    assert refusal(buyer, f"{path}:endorse", again) == (
        "DUPLICATE_RISK",
        {"object": "vehicle_1", "policy_id": other["policyId"]},
    )
    assert buyer.call("GET", path) == changed
    assert endorsed(buyer, policy, third, allowDuplicate=True)["policy"]["etag"] != changed["etag"]


def test_change_that_an_underwriter_decides_on_is_issued_at_the_price_with_the_loading(
    buyer: Buyer, underwriter: Buyer, policy: Json
) -> None:
    answer = quoted(buyer, policy, IN_TWO_MONTHS, answers={"use": "taxi"})
    assert (answer["quote"]["state"], answer["quote"]["indicative"]) == ("STATE_REFERRED", True)
    path = f"/v1/quotes/{answer['quote']['quoteId']}"
    assert refusal(buyer, f"{path}:accept", {})[0] == "QUOTE_REFERRED"
    decision = {"decision": "DECISION_APPROVE", "loadings": [{"rate": "0.5"}], "ruleCodes": [], "reason": "many hours"}
    decision["ruleCodes"] = [reason["ruleCode"] for reason in answer["quote"]["underwritingReasons"]]
    post(underwriter, f"{path}:decide", decision)
    post(buyer, f"{path}:accept", {})
    post(buyer, f"{path}:unaccept", {})
    post(buyer, f"{path}:accept", {})
    result = endorsed(buyer, policy, answer)
    assert money(result["change"]["total"]) > money(answer["result"]["change"]["total"]) > 0


def test_repeated_question_for_a_price_is_answered_with_the_same_quote(buyer: Buyer, policy: Json) -> None:
    path, key = f"/v1/policies/{policy['policyId']}:quoteEndorsement", secrets.token_hex(16)
    body = {"effectiveDate": on(IN_TWO_MONTHS), "answers": {"annual_km": 20000}}
    first, second = (buyer.call("POST", path, body, key=key) for _ in range(2))
    assert first["quote"] == second["quote"]
    body["answers"] = {"annual_km": 30000}
    headers = {"authorization": f"Bearer {buyer.token}", "idempotency-key": key}
    assert "IDEMPOTENCY_KEY_REUSED" in buyer.http.post(path, json=body, headers=headers).text


def test_change_of_today_covers_from_when_it_is_issued(buyer: Buyer, policy: Json) -> None:
    path = f"/v1/policies/{policy['policyId']}/cover"
    lisbon = datetime.now(ZoneInfo("Europe/Lisbon")).date()
    answer = accepted(buyer, policy, lisbon, coverages={"add": [{"coverageCode": "theft"}]})
    before = datetime.now(UTC)
    result = endorsed(buyer, policy, answer)
    codes = {
        moment: [item["coverageCode"] for item in buyer.call("GET", f"{path}?atTime={moment}")["coverages"]]
        for moment in (before.isoformat().replace("+00:00", "Z"), result["transaction"]["issueTime"])
    }
    assert [("theft" in shown) for shown in codes.values()] == [False, True]


@pytest.mark.parametrize("timing", ["SPREAD", "AT_ONCE", "NEXT_INSTALLMENT"])
def test_what_a_change_adds_is_billed_as_it_is_asked_and_as_it_was_told(
    buyer: Buyer, policy: Json, timing: str
) -> None:
    billing = f"/v1/policies/{policy['policyId']}/billing"
    planned = [money(item["premium"]["total"]) for item in planned_of(buyer.call("GET", billing))]
    answer = accepted(buyer, policy, IN_TWO_MONTHS, answers={"annual_km": 40000})
    timed = {"chargeTiming": f"CHARGE_TIMING_{timing}"}
    told = endorsed(buyer, policy, answer, validateOnly=True, **timed)
    result = endorsed(buyer, policy, answer, **timed)
    change = money(result["change"]["total"])
    expected = [money(item["premium"]["total"]) for item in told["installments"]]
    after = buyer.wait(
        billing, lambda shown: [money(item["premium"]["total"]) for item in planned_of(shown)] == expected
    )
    if timing == "AT_ONCE":
        assert expected == planned
        assert money(told["balanceDue"]) == change
        path = f"/v1/invoices?policyId={policy['policyId']}"
        page = buyer.wait(path, lambda page: len(page["invoices"]) == 2)
        assert change in [money(invoice["premium"]["total"]) for invoice in page["invoices"]]
    elif timing == "NEXT_INSTALLMENT":
        assert expected == [planned[0] + change, *planned[1:]]
    else:
        assert sum(expected) == sum(planned) + change
        assert max(expected) - min(expected) <= Decimal("0.01")
    assert len(planned_of(after)) == len(planned) == 11


@pytest.mark.parametrize("timing", ["ACCOUNT", "REFUND"])
def test_what_a_change_gives_back_stays_on_the_account_or_is_paid_out_as_it_is_asked(buyer: Buyer, timing: str) -> None:
    policy = buyer.issue()
    buyer.pay(buyer.invoice_of(policy))
    buyer.in_force(policy)
    answer = accepted(buyer, policy, IN_TWO_MONTHS, answers={"annual_km": 5000})
    timed = {"creditTiming": f"CREDIT_TIMING_{timing}"}
    told = endorsed(buyer, policy, answer, validateOnly=True, **timed)
    result = endorsed(buyer, policy, answer, **timed)
    change = money(result["change"]["total"])
    assert change < 0
    refund = -change if timing == "REFUND" else None
    assert [money(item["refund"]) if "refund" in item else None for item in (told, result)] == [refund, refund]
    if timing == "ACCOUNT":
        path = f"/v1/billingAccounts?policyId={policy['policyId']}"
        page = buyer.wait(path, lambda page: money(page["billingAccounts"][0]["credit"]) != 0)
        assert money(page["billingAccounts"][0]["credit"]) == -change


def planned_of(billing: Json) -> list[Json]:
    """The installments that are not billed, in the order they fall due."""
    return [item for item in billing["installments"] if item["state"] == "STATE_PLANNED"]
