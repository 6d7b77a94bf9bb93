"""Journals and balances as the contract carries them."""

from __future__ import annotations

from uuid import UUID

from bazaruto.payments.v1 import ledger_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.payments.ledger.rules.balance import Balance, Dimension
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.entry import Entry, Extract
from services.payments.ledger.rules.journal import Booked, Filter, Posting
from services.payments.ledger.rules.proof import Compared

_SIDES = {Side.DEBIT: pb.Posting.SIDE_DEBIT, Side.CREDIT: pb.Posting.SIDE_CREDIT}
_DIMENSIONS = {
    pb.DIMENSION_UNSPECIFIED: None,
    pb.DIMENSION_COVERAGE: Dimension.COVERAGE,
    pb.DIMENSION_TAX_CODE: Dimension.TAX,
    pb.DIMENSION_PARTNER: Dimension.PARTNER,
}


def dimension_from_proto(message: pb.Dimension.ValueType) -> Dimension | None:
    """By what accounts are shown in parts; None where they are not."""
    return _DIMENSIONS[message]


def balance_to_proto(balance: Balance, dimension: Dimension | None = None) -> pb.AccountBalance:
    """One account in one currency, or the part of it that a dimension tells apart."""
    is_partner = dimension is Dimension.PARTNER and balance.part
    return pb.AccountBalance(
        account_code=balance.account.code,
        account_name=balance.account.name,
        debits=values.money_to_proto(balance.debits),
        credits=values.money_to_proto(balance.credits),
        balance=values.money_to_proto(balance.amount),
        part=ids.encode("par", UUID(balance.part)) if is_partner else balance.part,
    )


def journal_to_proto(booked: Booked) -> pb.Journal:
    """A journal as it stands in the books."""
    journal, subject = booked.journal, booked.journal.subject
    return pb.Journal(
        journal_id=ids.encode("jrn", booked.id),
        rule=journal.rule,
        source_id=journal.source_id,
        policy_id=_encoded("pol", subject.policy_id),
        billing_account_id=_encoded("bac", subject.billing_account_id),
        claim_id=_encoded("clm", subject.claim_id),
        partner_id=_encoded("par", subject.partner_id),
        effective_date=values.date_to_proto(journal.effective_on),
        booking_time=values.time_to_proto(booked.booked_at),
        postings=[posting_to_proto(posting) for posting in journal.postings],
        written_date=values.date_to_proto(journal.written_on) if journal.written_on else None,
        trace_id=booked.trace_id,
    )


def posting_to_proto(posting: Posting) -> pb.Posting:
    """One side of a journal."""
    return pb.Posting(
        account_code=posting.account,
        side=_SIDES[posting.side],
        amount=values.money_to_proto(posting.amount),
        coverage_code=posting.coverage_code,
        tax_code=posting.tax_code,
        term_number=posting.term_number,
    )


def entry_to_proto(entry: Entry, balance: Money) -> pb.AccountEntry:
    """One posting in the ledger of its account, with the balance behind it."""
    return pb.AccountEntry(
        journal_id=ids.encode("jrn", entry.position.journal_id),
        rule=entry.rule,
        source_id=entry.source_id,
        effective_date=values.date_to_proto(entry.position.effective_on),
        booking_time=values.time_to_proto(entry.booked_at),
        posting=posting_to_proto(entry.posting),
        balance=values.money_to_proto(balance),
    )


def compared_to_proto(compared: Compared) -> pb.PolicyLedgerLine:
    """One item of a policy as billing and the ledger have it."""
    return pb.PolicyLedgerLine(
        item=pb.PolicyLedgerLine.Item.Value(f"ITEM_{compared.item.name}"),
        billed=values.money_to_proto(compared.billed),
        booked=values.money_to_proto(compared.booked),
        difference=values.money_to_proto(compared.difference),
    )


def extract_from_proto(message: pb.GetAccountLedgerRequest) -> Extract:
    """Which postings a request asks for. `FieldInvalid` when a day or a moment is none."""
    return Extract(
        account_code=message.account_code,
        currency=message.currency_code,
        first_day=values.optional_date(message, "from_date"),
        last_day=values.optional_date(message, "until_date"),
        booked_before=values.optional_time(message, "booked_until_time"),
    )


def filter_from_proto(message: pb.ListJournalsRequest) -> Filter:
    """Which journals a request asks for. `FieldInvalid` when an identifier or a moment is none."""
    return Filter(
        policy_id=_decoded("pol", message.policy_id),
        billing_account_id=_decoded("bac", message.billing_account_id, "billing_account_id"),
        claim_id=_decoded("clm", message.claim_id, "claim_id"),
        partner_id=_decoded("par", message.partner_id, "partner_id"),
        account_code=message.account_code,
        rule=message.rule,
        source_id=message.source_id,
        trace_id=message.trace_id,
        booked_from=values.optional_time(message, "booked_from_time"),
        booked_before=values.optional_time(message, "booked_until_time"),
    )


def _encoded(prefix: str, value: UUID | None) -> str:
    return ids.encode(prefix, value) if value else ""


def _decoded(prefix: str, text: str, field: str = "policy_id") -> UUID | None:
    return ids.decode(prefix, text, field) if text else None
