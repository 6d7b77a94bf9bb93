"""What customers, underwriters and finance do with a policy that is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Final

from bazarutod.simulate.book import Book, Held, as_date, as_json
from bazarutod.simulate.buying import pay_what_is_open
from bazarutod.simulate.calling import Json, Refused
from bazarutod.simulate.lives import Deed, Event
from bazarutod.simulate.money import minor
from bazarutod.simulate.risks import NOT_RENEWED, change_of
from bazarutod.simulate.world import Staff

_BACKDATED: Final = {"motor": 30, "home": 15, "health": 15}
"""How far underwriters may go back, by product."""
_REASONS: Final[dict[str, tuple[str, ...]]] = {
    "motor": ("insured_request", "vehicle_sold"),
    "home": ("insured_request", "house_sold"),
    "device": ("insured_request", "device_sold"),
    "travel": ("insured_request", "visa_refused"),
    "health": ("insured_request",),
    "term_life": ("insured_request",),
}
_BY_INSURER: Final = {"health": "false_statement", "term_life": "false_statement"}
_COOLING_OFF = 7  # days within which every product takes a policy back


def do(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    """Do what an event says. What the platform refuses by a rule is counted, and nothing else comes of it."""
    try:
        _DEEDS[event.deed](book, staff, held, event, today)
    except Refused as refused:
        book.refused[event.deed.name.lower(), refused.reason] += 1


def _endorse(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    policy = held.holder.get(held.path)
    if policy["state"] not in ("STATE_IN_FORCE", "STATE_SCHEDULED"):
        return
    dice = _dice(event)
    caller, day = held.holder, today + timedelta(days=dice.choice((0, 1, 5, 20, 45, 60)))
    start = as_date(policy["term"]["startDate"])
    if event.by_underwriter and held.life.product in _BACKDATED:
        caller = staff.underwriter
        day = today - timedelta(days=dice.randint(1, _BACKDATED[held.life.product] - 1))
    change = change_of(held.life.product, held.life.number, dice, policy, today)
    body = {"effectiveDate": as_json(max(day, start)), **change}
    answer = caller.post(f"{held.path}:quoteEndorsement", body)
    quote = answer["quote"]
    path = f"/v1/quotes/{quote['quoteId']}"
    if quote["state"] == "STATE_REFERRED":
        rules = [reason["ruleCode"] for reason in quote["underwritingReasons"]]
        staff.underwriter.post(
            f"{path}:decide", {"decision": "DECISION_APPROVE", "ruleCodes": rules, "reason": "Taken."}
        )
    held.holder.post(f"{path}:accept", {})
    timing = {}
    if dice.random() < 0.4:
        timing["chargeTiming"] = f"CHARGE_TIMING_{dice.choice(('SPREAD', 'AT_ONCE', 'NEXT_INSTALLMENT'))}"
    if dice.random() < 0.4:
        timing["creditTiming"] = f"CREDIT_TIMING_{dice.choice(('ACCOUNT', 'REFUND'))}"
    endorsement = held.holder.post(f"{held.path}:endorse", {"quoteId": quote["quoteId"], **timing})
    if quote["state"] != "STATE_REFERRED":
        _compare(held, answer["result"], endorsement)
    held.last_change = endorsement["transaction"]["transactionId"]
    book.done["endorsed"] += 1


def _cancel(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    policy = held.holder.get(held.path)
    if policy["state"] not in ("STATE_IN_FORCE", "STATE_SCHEDULED"):
        return
    dice, product = _dice(event), held.life.product
    caller = held.holder
    body: Json = {"reason": dice.choice(_REASONS[product])}
    if event.by_underwriter:
        caller, body = staff.underwriter, {"reason": _BY_INSURER.get(product, "insurer")}
    elif book.day(today) - held.life.bought_on <= _COOLING_OFF:
        body = {"reason": "cooling_off"}
    elif dice.random() < 0.5:
        body |= {"effectiveDate": as_json(today + timedelta(days=dice.randint(31, 50)))}
    preview = caller.post(f"{held.path}:cancel", {**body, "validateOnly": True})
    cancellation = caller.post(f"{held.path}:cancel", body)
    _compare(held, preview, cancellation)
    held.last_change = cancellation["transaction"]["transactionId"]
    book.done[f"cancelled: {body['reason']}"] += 1


def _rescind(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    if "FLAG_CANCEL_PENDING" in held.holder.get(held.path).get("flags", []):
        staff.underwriter.post(f"{held.path}:rescindCancellation", {})
        held.last_change = ""
        book.done["cancellations taken back"] += 1


def _reverse(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    if not held.last_change:
        return
    path = f"{held.path}/transactions/{held.last_change}:reverse"
    approval = staff.admin.post(path, {"reason": "Entered by mistake."})
    staff.other_admin.post(f"/v1/policyApprovals/{approval['approvalId']}:decide", {"decision": "DECISION_APPROVE"})
    held.last_change = ""
    book.done["reversed"] += 1


def _refund(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    account = held.holder.get(f"/v1/billingAccounts/{held.account_id}")
    if minor(account.get("credit")) <= 0:
        return
    refund = held.holder.post(f"/v1/billingAccounts/{held.account_id}/refunds", {"amount": account["credit"]})
    verdict = "approve" if _dice(event).random() < 0.8 else "reject"
    staff.finance.post(
        f"/v1/refunds/{refund['refundId']}:{verdict}", {"note": "Looked at."} if verdict == "reject" else {}
    )
    book.done[f"refunds asked for: {verdict}"] += 1


def note_lapses(book: Book, staff: Staff, today: date) -> None:
    """Look at policies that lapsed, and say when those that are to be put back are paid for."""
    lapsed = {item["policyId"] for item in staff.admin.pages("/v1/policies", "policies", state="STATE_LAPSED")}
    fresh, book.lapsed = lapsed - book.lapsed, lapsed
    for policy_id in [one for one in book.held if one in fresh]:  # in the order in which they were bought
        held = book.held[policy_id]
        if held.life.reinstated_after:
            day = today + timedelta(days=held.life.reinstated_after)
            book.restorations[day].append((held, True))
            book.restorations[day + timedelta(days=1)].append((held, False))


def restore(book: Book, staff: Staff, held: Held, *, is_to_be_paid: bool) -> None:
    """Pay what is past due of a lapsed policy, or put it back the day after."""
    if is_to_be_paid:
        pay_what_is_open(book, held)
        return
    body: Json = {"noLossStatement": "Nothing happened meanwhile.", "withGap": held.life.with_gap}
    try:
        preview = staff.underwriter.post(f"{held.path}:reinstate", {**body, "validateOnly": True})
        reinstatement = staff.underwriter.post(f"{held.path}:reinstate", body)
        _compare(held, preview, reinstatement)
        book.done["reinstated"] += 1
    except Refused as refused:
        book.refused["reinstate", refused.reason] += 1


class PreviewDiffers(Exception):
    """What was told before is not what was done; the message names the policy."""


def _compare(held: Held, preview: Json, result: Json) -> None:
    if preview.get("change") != result.get("change"):
        raise PreviewDiffers(
            f"policy {held.number} ({held.policy_id}): told {preview.get('change')}, done {result.get('change')}"
        )


def _dice(event: Event) -> Random:
    return Random(event.seed)  # noqa: S311 - to be repeated


def _refuse_renewal(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    if held.life.product in NOT_RENEWED:
        return
    body = {"preference": "RENEWAL_PREFERENCE_NONE", "reason": "Another insurer is cheaper."}
    held.holder.post(f"{held.path}:setRenewalPreference", body)
    book.done["renewals refused"] += 1


def _renew(book: Book, staff: Staff, held: Held, event: Event, today: date) -> None:
    """The customer renews on their own account, also late, and may choose another plan."""
    if held.life.product in NOT_RENEWED:
        return
    offer = held.holder.post(f"{held.path}:quoteRenewal", {})
    if offer["state"] == "STATE_QUOTED":
        held.holder.post(f"/v1/quotes/{offer['quoteId']}:accept", {})
    plan = _dice(event).choice(("annual", "monthly"))
    body = {"quoteId": offer["quoteId"], "planCode": plan}
    preview = held.holder.post(f"{held.path}:renew", {**body, "validateOnly": True})
    renewal = held.holder.post(f"{held.path}:renew", body)
    _compare(held, preview, renewal)
    held.last_change = renewal["transaction"]["transactionId"]
    book.done["renewed by hand"] += 1


_DEEDS: Final[dict[Deed, Callable[[Book, Staff, Held, Event, date], None]]] = {
    Deed.ENDORSE: _endorse,
    Deed.CANCEL: _cancel,
    Deed.RESCIND: _rescind,
    Deed.REVERSE: _reverse,
    Deed.REFUND: _refund,
    Deed.REFUSE_RENEWAL: _refuse_renewal,
    Deed.RENEW: _renew,
}
