"""What has to be true of all policies at the end of every month, whatever was done with them."""

from __future__ import annotations

from typing import Any

import psycopg

from bazarutod.simulate.book import Book, Held
from bazarutod.simulate.calling import Json, Refused
from bazarutod.simulate.money import minor, text
from bazarutod.simulate.world import World
from libs import ids
from libs.jobs import runs

_PROVIDER = """
    SELECT currency, sum(amount) FROM (
        SELECT currency, amount FROM sandbox_charges WHERE status = 'charged'
        UNION ALL SELECT currency, -amount FROM sandbox_refunds WHERE status = 'refunded'
    ) AS moved GROUP BY currency
"""
_DIFFERENCES = "SELECT policy_id, kind, item, expected, actual FROM reconciliation_differences"


class Violated(Exception):
    """Something is not true that always has to be; the message names the policy where there is one."""


def prove(book: Book, world: World) -> Json:
    """Check everything; gives the trial balance. `Violated` with the first thing that is wrong."""
    balance = world.staff.finance.get("/v1/ledger/trialBalance")
    check_balance(balance)
    for held in book.held.values():
        _prove_policy(held, world)
    payments = world.databases["payments"]
    _prove_provider(balance, payments)
    _prove_services(payments, book)
    _prove_jobs(world)
    return balance


def check_balance(balance: Json) -> None:
    """`Violated` when the debits of a currency are not its credits."""
    for amount in balance.get("differences", []):
        if minor(amount):
            raise Violated(f"the trial balance differs by {text(minor(amount))} {amount['currencyCode']}")


def check_ledger(about: str, ledger: Json) -> None:
    """`Violated` when billing and books of a policy differ, or what is written is not earned and unearned."""
    booked = {line["item"]: minor(line.get("booked")) for line in ledger["lines"]}
    for line in ledger["lines"]:
        if minor(line.get("difference")):
            billed = minor(line.get("billed"))
            raise Violated(
                f"{about}: {line['item']} is billed as {text(billed)} and booked as {text(booked[line['item']])}"
            )
    written = booked.get("ITEM_PREMIUM", 0)
    parts = booked.get("ITEM_EARNED", 0) + booked.get("ITEM_UNEARNED", 0)
    if written != parts:
        raise Violated(f"{about}: {text(written)} is written, and {text(parts)} is earned and unearned")


def _prove_policy(held: Held, world: World) -> None:
    about = f"policy {held.number} ({held.policy_id}, the {held.life.number}. one, {held.life.product})"
    try:
        ledger = world.staff.finance.get(f"{held.path}/ledger")
    except Refused as refused:
        raise Violated(f"{about} has no ledger: {refused.reason}") from refused
    check_ledger(about, ledger)


def _prove_provider(balance: Json, payments: psycopg.Connection[Any]) -> None:
    """What the provider has is what the books say that it has."""
    moved = {currency.strip(): int(total) for currency, total in payments.execute(_PROVIDER) if total}
    booked = {
        account["balance"]["currencyCode"]: minor(account["balance"])
        for account in balance.get("accounts", [])
        if account["accountCode"] == "1010"
    }
    for currency in sorted(moved.keys() | booked.keys()):
        at_provider, in_books = moved.get(currency, 0), booked.get(currency, 0)
        if at_provider != in_books:
            raise Violated(
                f"the provider holds {text(at_provider)} {currency}, and the ledger says {text(in_books)} (1010)"
            )


def _prove_services(payments: psycopg.Connection[Any], book: Book) -> None:
    for policy_id, kind, item, expected, actual in payments.execute(_DIFFERENCES):
        name = ids.encode("pol", policy_id)
        number = book.held[name].number if name in book.held else "?"
        raise Violated(f"policy {number} ({name}): {kind} {item}, expected {expected}, is {actual}")


def _prove_jobs(world: World) -> None:
    for service, connection in world.databases.items():
        for row in runs.list_parked(connection, "", 5):
            raise Violated(f"{service} could not do {row.name} for {ids.encode('pol', row.item_id)}: {row.reason}")
    if failed := world.failed_jobs():
        raise Violated(f"jobs failed for good: {', '.join(failed[:5])}")
