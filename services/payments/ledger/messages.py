"""Journals and balances as the contract carries them."""

from __future__ import annotations

from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.rpc import values
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Balance, Booked, Posting

_SIDES = {Side.DEBIT: pb.Posting.SIDE_DEBIT, Side.CREDIT: pb.Posting.SIDE_CREDIT}


def balance_to_proto(balance: Balance) -> pb.AccountBalance:
    """One account in one currency."""
    return pb.AccountBalance(
        account_code=balance.account.code,
        account_name=balance.account.name,
        debits=values.money_to_proto(balance.debits),
        credits=values.money_to_proto(balance.credits),
        balance=values.money_to_proto(balance.amount),
    )


def journal_to_proto(booked: Booked) -> pb.Journal:
    """A journal as it stands in the books."""
    journal = booked.journal
    return pb.Journal(
        journal_id=ids.encode("jrn", booked.id),
        rule=journal.rule,
        source_id=journal.source_id,
        policy_id=ids.encode("pol", journal.policy_id),
        effective_date=values.date_to_proto(journal.effective_on),
        booking_time=values.time_to_proto(booked.booked_at),
        postings=[posting_to_proto(posting) for posting in journal.postings],
    )


def posting_to_proto(posting: Posting) -> pb.Posting:
    """One side of a journal."""
    return pb.Posting(
        account_code=posting.account, side=_SIDES[posting.side], amount=values.money_to_proto(posting.amount)
    )
