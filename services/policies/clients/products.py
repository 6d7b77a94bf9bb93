"""What a version of a product says of its policies, as the contract carries it."""

from __future__ import annotations

from fractions import Fraction

from bazaruto.quotes.v1 import product_rules_pb2 as pb
from libs.rpc import values
from services.policies.lifecycle.rules.charges import Tax
from services.policies.lifecycle.rules.product import (
    CancellationRule,
    ChangeRule,
    CoverRule,
    CoverStartRule,
    FeeRule,
    ProductRules,
    ReinstatementRule,
    RenewalRule,
    TaxRule,
)
from services.policies.lifecycle.rules.returns import Method, Return

_STARTS = {
    pb.CoverRule.START_NEXT_MIDNIGHT: CoverStartRule.NEXT_MIDNIGHT,
    pb.CoverRule.START_OF_DAY: CoverStartRule.START_OF_DAY,
}
_METHODS = {
    pb.CancellationRule.METHOD_PRO_RATA: Method.PRO_RATA,
    pb.CancellationRule.METHOD_SHORT_RATE: Method.SHORT_RATE,
    pb.CancellationRule.METHOD_TABLE: Method.TABLE,
    pb.CancellationRule.METHOD_FLAT: Method.FLAT,
    pb.CancellationRule.METHOD_NONE: Method.NONE,
}
_BILLED = frozenset({"installment", "returned_debit"})  # the occasions of fees that payments charges itself


def product_rules_from_proto(message: pb.ProductRules) -> ProductRules:
    """The rules. `KeyError` for a method of return that this program does not know: it must not guess at money."""
    change, renewal, reinstatement = message.change, message.renewal, message.reinstatement
    return ProductRules(
        product_code=message.product_code,
        version=message.version,
        taxes=tuple(_tax_from_proto(tax) for tax in message.taxes),
        fees=tuple(_fee_from_proto(fee) for fee in message.fees if not fee.occasions or set(fee.occasions) - _BILLED),
        cover=CoverRule(
            _STARTS.get(message.cover.start, CoverStartRule.ON_PAYMENT), dict(message.cover.backdating_days)
        ),
        change=ChangeRule(
            frozenset(change.roles), change.charge_at_once, change.credit_refunded, change.latest_days_before_end
        )
        if message.HasField("change")
        else None,
        cancellations=tuple(_cancellation_from_proto(rule) for rule in message.cancellations),
        renewal=RenewalRule(renewal.offer_days, renewal.auto, renewal.cover_in_grace, renewal.late_days)
        if message.HasField("renewal")
        else None,
        reinstatement=ReinstatementRule(
            reinstatement.window_days, reinstatement.with_gap, reinstatement.no_loss_statement
        )
        if message.HasField("reinstatement")
        else None,
        grace_days=message.dunning.grace_days,
    )


def _tax_from_proto(message: pb.TaxRule) -> TaxRule:
    tax = Tax(message.tax_code, Fraction(message.rate), frozenset(message.coverage_codes))
    return TaxRule(tax, values.optional_date(message, "valid_from_date"))


def _fee_from_proto(message: pb.FeeRule) -> FeeRule:
    occasions = frozenset(message.occasions)
    amount = values.money_from_proto(message.amount)
    return FeeRule(message.fee_code, amount, occasions, message.returned_when_flat)


def _cancellation_from_proto(message: pb.CancellationRule) -> CancellationRule:
    how = Return(
        _METHODS[message.method],
        Fraction(message.rate or 1),
        tuple((row.days, Fraction(row.share)) for row in message.kept),
        Fraction(message.minimum_earned or 0),
    )
    roles = frozenset(message.roles)
    return CancellationRule(message.reason, roles, how, message.notice_days, message.within_days)
