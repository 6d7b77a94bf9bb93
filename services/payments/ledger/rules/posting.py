"""The posting rules: which accounts each event that moves money debits and credits.

`docs/ledger.md` shows them as a table, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from libs.money import Money
from services.payments.ledger.rules.chart import Side
from services.payments.ledger.rules.journal import Journal, Posting, Subject


@dataclass(frozen=True, slots=True)
class Transfer:
    """Two accounts, one of which is debited and the other credited with the same amount."""

    debit: str
    credit: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of event is booked."""

    name: str
    event: str
    """The event in words."""
    transfers: tuple[Transfer, ...]

    def journal(
        self, source_id: str, subject: Subject, day: date, *amounts: Money, written_on: date | None = None
    ) -> Journal:
        """The journal of an event: one amount for each transfer of the rule, in their order; zero is not posted.

        `ValueError` when all are zero, or one is negative.
        """
        postings = [
            Posting(account, side, amount)
            for transfer, amount in zip(self.transfers, amounts, strict=True)
            for side, account in ((Side.DEBIT, transfer.debit), (Side.CREDIT, transfer.credit))
            if amount.minor
        ]
        return Journal(self.name, source_id, subject, day, merged(postings), written_on)


def merged(postings: Iterable[Posting]) -> tuple[Posting, ...]:
    """Postings of which no two differ in their amount alone: debits first, otherwise in their order."""
    sums: dict[Posting, Money] = {}
    for posting in postings:
        zero = Money.zero(posting.amount.currency)
        key = Posting(posting.account, posting.side, zero, posting.coverage_code, posting.tax_code, posting.term_number)
        sums[key] = sums.get(key, zero) + posting.amount
    of_both_sides = [
        Posting(key.account, key.side, amount, key.coverage_code, key.tax_code, key.term_number)
        for key, amount in sums.items()
    ]
    return tuple(sorted(of_both_sides, key=lambda posting: posting.side is Side.CREDIT))


def _rule(name: str, event: str, *transfers: tuple[str, str]) -> Rule:
    return Rule(name, event, tuple(Transfer(debit, credit) for debit, credit in transfers))


POLICY_ISSUED: Final = _rule(
    "policy_issued", "policy issued before lines were kept: net, tax, fees",
    ("1105", "2000"), ("1105", "2100"), ("1105", "4100"),
)  # fmt: skip
POLICY_NOT_TAKEN: Final = _rule(
    "policy_not_taken", "contract that never took effect, of a policy issued before lines were kept: net, tax, fees",
    ("2000", "1105"), ("2100", "1105"), ("4100", "1105"),
)  # fmt: skip
INVOICE_ISSUED: Final = _rule("invoice_issued", "invoice issued", ("1100", "1105"))
INVOICE_VOIDED: Final = _rule("invoice_voided", "invoice withdrawn", ("1105", "1100"))
INSTALLMENT_FEE: Final = _rule("installment_fee", "fee of an installment or of a returned debit", ("1105", "4100"))
PAYMENT_CAPTURED: Final = _rule("payment_captured", "payment captured", ("1010", "1100"))
PAYMENT_OVERPAID: Final = _rule("payment_overpaid", "more paid than was invoiced", ("1010", "2300"))
CREDIT_APPLIED: Final = _rule("credit_applied", "credit applied to an invoice", ("2300", "1100"))
CREDIT_REFUNDED: Final = _rule("credit_refunded", "credit to be refunded", ("2300", "2310"))
REFUND_TAKEN_BACK: Final = _rule("refund_taken_back", "refund that is not sent: credit again", ("2310", "2300"))
REFUND_SUCCEEDED: Final = _rule("refund_succeeded", "refund sent", ("2310", "1010"))
REFUND_FAILED: Final = _rule("refund_failed", "refund that came back", ("1010", "2310"))
INVOICE_WRITTEN_OFF: Final = _rule("invoice_written_off", "invoice written off", ("5300", "1100"))
WRITE_OFF_RECOVERED: Final = _rule("write_off_recovered", "recovered after a write-off", ("1100", "5300"))
PROVIDER_SETTLED: Final = _rule(
    "provider_settled", "the gateway settles: what arrives, its fee", ("1000", "1010"), ("5200", "1010")
)
DISPUTE_OPENED: Final = _rule(
    "dispute_opened", "dispute opened: amount, fee", ("1015", "1010"), ("5210", "1010")
)  # fmt: skip
DISPUTE_WON: Final = _rule("dispute_won", "dispute won", ("1010", "1015"))
DISPUTE_LOST: Final = _rule("dispute_lost", "dispute lost, and chargeback after cancellation", ("1100", "1015"))
RECEIPT_RECORDED: Final = _rule("receipt_recorded", "receipt that nobody is known for", ("1000", "2900"))
RECEIPT_MATCHED: Final = _rule("receipt_matched", "receipt matched to an invoice", ("2900", "1100"))
TAX_REMITTED: Final = _rule("tax_remitted", "premium tax paid to the state", ("2100", "1000"))
PREMIUM_EARNED: Final = _rule("premium_earned", "premium earned", ("2000", "4000"))
COMMISSION_ACCRUED: Final = _rule("commission_accrued", "commission accrued", ("1190", "2200"))
COMMISSION_EXPENSED: Final = _rule("commission_expensed", "commission expensed", ("5100", "1190"))
COMMISSION_CLAWED_BACK: Final = _rule(
    "commission_clawed_back", "commission given back: not yet paid, paid", ("2200", "1190"), ("1110", "1190")
)
COMMISSION_PAID: Final = _rule("commission_paid", "commission paid", ("2200", "1000"))
RESERVE_RAISED: Final = _rule("reserve_raised", "claim reserve set or raised", ("5000", "2400"))
RESERVE_RELEASED: Final = _rule("reserve_released", "claim reserve lowered or released", ("2400", "5000"))
EXPENSE_RESERVE_RAISED: Final = _rule("expense_reserve_raised", "reserve for claim expenses set", ("5010", "2400"))
EXPENSE_RESERVE_RELEASED: Final = _rule(
    "expense_reserve_released", "reserve for claim expenses released", ("2400", "5010")
)
CLAIM_APPROVED: Final = _rule("claim_approved", "claim payment or expense approved", ("2400", "2410"))
EX_GRATIA_APPROVED: Final = _rule("ex_gratia_approved", "payment approved that is not owed", ("5000", "2410"))
PREMIUM_SET_OFF: Final = _rule("premium_set_off", "premium set off against a claim", ("2410", "1100"))
PAYOUT_EXECUTED: Final = _rule("payout_executed", "claim payment sent", ("2410", "1000"))
PAYOUT_RETURNED: Final = _rule("payout_returned", "claim payment that came back", ("1000", "2410"))
RECOVERY_BOOKED: Final = _rule("recovery_booked", "recovery expected", ("1120", "5000"))
RECOVERY_RECEIVED: Final = _rule("recovery_received", "recovery received", ("1000", "1120"))
POLICY_BROKERED: Final = _rule(
    "policy_brokered", "policy of another insurer issued: the carrier's part, commission", ("1105", "2500"),
    ("1105", "4200"),
)  # fmt: skip

RULES: Final = tuple(rule for rule in list(globals().values()) if isinstance(rule, Rule))
"""All of them, in their order."""
