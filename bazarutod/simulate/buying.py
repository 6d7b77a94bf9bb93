"""Customers who buy policies, and those who pay for them by hand."""

from __future__ import annotations

import secrets
import time
from datetime import date, timedelta
from random import Random

import httpx

from bazarutod.simulate.book import Book, Held, as_date
from bazarutod.simulate.calling import Broken, Caller, Json, Refused
from bazarutod.simulate.lives import Life, Paying
from bazarutod.simulate.money import minor
from bazarutod.simulate.risks import name, risk_of
from bazarutod.simulate.world import Staff

_MANDATE = "The insurer may collect premiums of my policies when they fall due."
_BAD = "pm_card_insufficient_funds"
_PATIENCE = 60.0  # seconds, for a job that bills


def buy(book: Book, http: httpx.Client, staff: Staff, life: Life, today: date) -> None:
    """A quote, decided by an underwriter where that is needed, accepted and issued."""
    dice = Random(life.seed)  # noqa: S311 - to be repeated
    holder = _customer(book, http, life, dice)
    quote = holder.post("/v1/quotes", {"risk": risk_of(life.product, life.number, dice, today)})
    if quote["state"] == "STATE_REFERRED":
        rules = [reason["ruleCode"] for reason in quote["underwritingReasons"]]
        decision = {"decision": "DECISION_APPROVE", "ruleCodes": rules, "reason": "Looked at and taken."}
        decision |= {"loadings": [{"rate": "0.1"}]} if dice.random() < 0.5 else {}
        staff.underwriter.post(f"/v1/quotes/{quote['quoteId']}:decide", decision)
        book.done["referred"] += 1
    elif quote["state"] != "STATE_QUOTED":
        raise Broken(f"policy {life.number} cannot be bought: {quote}")
    holder.post(f"/v1/quotes/{quote['quoteId']}:accept", {})
    order: Json = {"quoteId": quote["quoteId"], "planCode": life.plan}
    method_id = ""
    if life.paying in (Paying.AUTOMATIC, Paying.FAILING):
        method_id = _method(holder, life.card)
        order["paymentMethodId"] = method_id
    policy = holder.post("/v1/policies", order)
    held = Held(life, holder, policy["policyId"], policy["policyNumber"], method_id)
    book.held[held.policy_id] = held
    book.unbilled.add(held.policy_id)
    book.done["bought"] += 1


def collect_automatically(book: Book, held: Held) -> None:
    """Have the platform collect what falls due; the account is there since the policy was issued."""
    _choose(held, held.method_id)
    book.done["autopay"] += 1


def fail(book: Book, held: Held) -> None:
    """From now on, the card is declined."""
    bad = _method(held.holder, _BAD)
    try:
        _choose(held, bad)
        held.is_failing = True
        book.done["cards that fail"] += 1
    except Refused as refused:
        book.refused["autopay", refused.reason] += 1


def note_bills(book: Book, staff: Staff, today: date) -> None:
    """Look at the invoices that are new, and say when somebody pays those that nobody collects.

    The first one of a policy is made by a job, and some can be paid on the day of the purchase only: it is waited for.
    """
    deadline = time.monotonic() + _PATIENCE
    _look_at_bills(book, staff, today)
    while book.unbilled:
        if time.monotonic() > deadline:
            raise Broken(f"nothing is billed for {', '.join(sorted(book.unbilled)[:3])}")
        time.sleep(0.1)
        _look_at_bills(book, staff, today)


def _look_at_bills(book: Book, staff: Staff, today: date) -> None:
    for invoice in staff.admin.pages("/v1/invoices", "invoices"):
        if invoice["invoiceId"] in book.billed:
            break
        book.billed.add(invoice["invoiceId"])
        book.unbilled.discard(invoice["policyId"])
        held = book.held[invoice["policyId"]]
        day = _day_of_payment(book, held, invoice, today)
        if day is not None:
            book.bills[max(day, today)].append((held, invoice["invoiceId"]))


def pay(book: Book, held: Held, invoice_id: str) -> None:
    """Pay an invoice by hand, unless it is settled by now."""
    invoice = held.holder.get(f"/v1/invoices/{invoice_id}")
    if invoice["state"] not in ("STATE_OPEN", "STATE_PARTIALLY_PAID") or not minor(invoice.get("amountDue")):
        return
    dice = held.dice("pay", invoice.get("installmentNumber"), invoice.get("termNumber"))
    card = "pm_card_action" if dice.random() < 0.05 else held.life.card
    path = f"/v1/invoices/{invoice_id}:pay"
    for used in ("pm_card_declined", card) if dice.random() < 0.05 else (card,):
        try:
            payment = held.holder.post(path, {"paymentMethod": used})
            if payment["state"] == "STATE_REQUIRES_ACTION":
                held.holder.post(f"/v1/payments/{payment['paymentId']}:confirm", {})
            book.done["paid by hand"] += 1
        except Refused as refused:
            book.refused["pay", refused.reason] += 1


def pay_what_is_open(book: Book, held: Held) -> None:
    """Pay all that a policy owes by invoices, with a good card."""
    for invoice in list(held.holder.pages("/v1/invoices", "invoices", policyId=held.policy_id)):
        pay(book, held, invoice["invoiceId"])


def _day_of_payment(book: Book, held: Held, invoice: Json, today: date) -> date | None:
    life, due = held.life, as_date(invoice["dueDate"])
    is_late = due >= book.date(life.trouble_on)
    match life.paying:
        case Paying.NEVER:
            return None
        case Paying.STOPPED if is_late:
            return None
        case Paying.AUTOMATIC:
            return None
        case Paying.FAILING if not is_late:
            return None
        case Paying.FAILING:
            return due + timedelta(days=life.late_days + 4) if life.number % 2 else None
        case _:
            is_first = invoice.get("installmentNumber", 0) <= 1 and invoice.get("termNumber", 1) <= 1
            return today if is_first else due + timedelta(days=life.late_days)


def _customer(book: Book, http: httpx.Client, life: Life, dice: Random) -> Caller:
    if life.customer not in book.customers:
        caller = Caller(http, f"customer.{life.customer}@example.com", secrets.token_hex(12))
        caller.register(name(dice))
        book.customers[life.customer] = caller
    return book.customers[life.customer]


def _method(holder: Caller, card: str) -> str:
    added = holder.post("/v1/paymentMethods", {"token": card, "displayName": "my card", "mandateText": _MANDATE})
    return str(added["paymentMethodId"])


def _choose(held: Held, method_id: str) -> None:
    choice = {"autopay": True, "paymentMethodId": method_id}
    held.holder.call("PATCH", f"/v1/billingAccounts/{held.account_id}", choice)
    held.method_id = method_id
