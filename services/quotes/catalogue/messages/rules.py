"""What a version says of policies that have it, as the contract carries it."""

from __future__ import annotations

from decimal import Decimal

from bazaruto.quotes.v1 import product_rules_pb2 as pb
from libs.rpc import values
from services.quotes.catalogue.messages.product import amount_to_proto
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.servicing import (
    Billing,
    Cancellation,
    Change,
    Claims,
    Cover,
    Dunning,
    Fee,
    Reinstatement,
    Renewal,
    Tax,
)
from services.quotes.catalogue.rules.table import bands

_STARTS = {
    "on_payment": pb.CoverRule.START_ON_PAYMENT,
    "next_midnight": pb.CoverRule.START_NEXT_MIDNIGHT,
    "start_of_day": pb.CoverRule.START_OF_DAY,
}
_METHODS = {
    "pro_rata": pb.CancellationRule.METHOD_PRO_RATA,
    "short_rate": pb.CancellationRule.METHOD_SHORT_RATE,
    "table": pb.CancellationRule.METHOD_TABLE,
    "flat": pb.CancellationRule.METHOD_FLAT,
    "none": pb.CancellationRule.METHOD_NONE,
}
_ACTIONS = {
    "retry": pb.DunningRule.Step.ACTION_RETRY,
    "remind": pb.DunningRule.Step.ACTION_REMIND,
    "notice": pb.DunningRule.Step.ACTION_NOTICE,
    "lapse": pb.DunningRule.Step.ACTION_LAPSE,
}


def rules_to_proto(product: Product) -> pb.ProductRules:
    """All that the version says. Taxes and fees that it has among the steps of its price are told like the others."""
    steps = product.rating
    taxes = [Tax(step.name, step.rate) for step in steps if step.kind == "tax" and step.rate is not None]
    fees = [Fee(step.name, step.amount, ()) for step in steps if step.kind == "fee" and step.amount is not None]
    return pb.ProductRules(
        product_code=product.code,
        version=product.version,
        time_zone=product.time_zone,
        currency_code=product.currency,
        taxes=[_tax_to_proto(tax) for tax in (*taxes, *product.taxes)],
        fees=[_fee_to_proto(fee, product.currency) for fee in (*fees, *product.fees)],
        cover=_cover_to_proto(product.cover),
        change=_change_to_proto(product.change) if product.change else None,
        cancellations=[_cancellation_to_proto(rule) for rule in product.cancellation],
        renewal=_renewal_to_proto(product.renewal) if product.renewal else None,
        reinstatement=_reinstatement_to_proto(product.reinstatement) if product.reinstatement else None,
        dunning=_dunning_to_proto(product.dunning) if product.dunning else None,
        billing=_billing_to_proto(product.billing) if product.billing else None,
        claims=_claims_to_proto(product.claims, product.currency) if product.claims else None,
    )


def _tax_to_proto(tax: Tax) -> pb.TaxRule:
    return pb.TaxRule(
        tax_code=tax.code,
        rate=str(tax.rate),
        coverage_codes=tax.coverages,
        valid_from_date=values.date_to_proto(tax.valid_from) if tax.valid_from else None,
        authority=tax.authority,
    )


def _fee_to_proto(fee: Fee, currency: str) -> pb.FeeRule:
    return pb.FeeRule(
        fee_code=fee.code,
        amount=amount_to_proto(fee.amount, currency),
        occasions=fee.when,
        spread=fee.installment == "spread",
        returned_when_flat=fee.returned == "flat",
    )


def _cover_to_proto(cover: Cover) -> pb.CoverRule:
    backdating = {str(role): days for role, days in cover.backdating_days.items()}
    return pb.CoverRule(start=_STARTS[cover.starts], latest_days=cover.latest_days, backdating_days=backdating)


def _change_to_proto(change: Change) -> pb.ChangeRule:
    return pb.ChangeRule(
        roles=change.by,
        charge_at_once=change.charge == "at_once",
        credit_refunded=change.credit == "refund",
        latest_days_before_end=change.latest_days_before_end,
    )


def _cancellation_to_proto(rule: Cancellation) -> pb.CancellationRule:
    return pb.CancellationRule(
        reason=rule.reason,
        roles=rule.by,
        method=_METHODS[rule.method],
        rate=_text(rule.rate),
        kept=[pb.CancellationRule.Kept(days=band.first, share=str(rule.table[band.row])) for band in bands(rule.table)],
        notice_days=rule.notice_days,
        within_days=rule.within_days or 0,
        minimum_earned=_text(rule.minimum_earned),
    )


def _renewal_to_proto(renewal: Renewal) -> pb.RenewalRule:
    return pb.RenewalRule(
        offer_days=renewal.offer_days,
        auto=renewal.auto,
        cover_in_grace=renewal.cover == "in_grace",
        late_days=renewal.late_days,
    )


def _reinstatement_to_proto(rule: Reinstatement) -> pb.ReinstatementRule:
    return pb.ReinstatementRule(
        window_days=rule.window_days, with_gap=rule.with_gap, no_loss_statement=rule.no_loss_statement
    )


def _dunning_to_proto(dunning: Dunning) -> pb.DunningRule:
    steps = [pb.DunningRule.Step(day=step.day, action=_ACTIONS[step.do]) for step in dunning.steps]
    return pb.DunningRule(grace_days=dunning.grace_days, steps=steps)


def _billing_to_proto(billing: Billing) -> pb.BillingRule:
    return pb.BillingRule(
        partial=billing.partial,
        billed_ahead_days=billing.billed_ahead_days,
        plans=[
            pb.BillingRule.Plan(
                plan_code=plan.code,
                installments=plan.installments,
                down_payment=str(plan.down_payment),
                fee_code=plan.fee,
            )
            for plan in billing.plans
        ],
    )


def _claims_to_proto(claims: Claims, currency: str) -> pb.ClaimsRule:
    return pb.ClaimsRule(
        causes=claims.causes,
        coverages=[
            pb.ClaimsRule.Coverage(
                coverage_code=code,
                deductible_off_limit=rule.deductible == "off_limit",
                insurer_share=str(rule.insurer_share),
                aggregate=rule.aggregate == "term",
                initial_reserve=amount_to_proto(rule.initial_reserve, currency),
            )
            for code, rule in claims.coverages.items()
        ],
        underinsurance_clauses={code: str(rule.clause) for code, rule in claims.underinsurance.items()},
        report_within_days=claims.report_within_days or 0,
        appeal_days=claims.appeal_days,
        second_above=amount_to_proto(claims.approval.second_above, currency) if claims.approval else None,
    )


def _text(number: Decimal | None) -> str:
    return "" if number is None else str(number)
