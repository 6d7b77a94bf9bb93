"""The services that policies calls: quotes and payments. Messages in and out, domain values here."""

from __future__ import annotations

from datetime import UTC

import grpc

from bazaruto.common.v1 import premium_pb2
from bazaruto.payments.v1 import invoice_pb2 as payments_pb
from bazaruto.payments.v1 import invoice_pb2_grpc as payments_rpc
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from bazaruto.quotes.v1 import quote_pb2_grpc as quotes_rpc
from libs import ids
from libs.rpc import values
from services.policies.lifecycle.rules.policy import Coverage, Policy, Premium, Quote, Transaction

_STATES = {
    quotes_pb.Quote.STATE_QUOTED: "quoted",
    quotes_pb.Quote.STATE_REFERRED: "referred",
    quotes_pb.Quote.STATE_DECLINED: "declined",
    quotes_pb.Quote.STATE_ACCEPTED: "accepted",
    quotes_pb.Quote.STATE_BOUND: "bound",
    quotes_pb.Quote.STATE_EXPIRED: "expired",
}


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._quotes = quotes_rpc.QuoteServiceStub(channel)

    def get_quote(self, quote_id: str) -> Quote:
        """A quote that the caller may see; the quotes service decides that."""
        return quote_from_proto(self._quotes.GetQuote(quotes_pb.GetQuoteRequest(quote_id=quote_id)))

    def bind_quote(self, policy: Policy) -> None:
        """Record that the policy was issued from its quote. Repeating it changes nothing."""
        self._quotes.BindQuote(
            quotes_pb.BindQuoteRequest(
                quote_id=ids.encode("quo", policy.quote_id),
                policy_id=ids.encode("pol", policy.id),
                issue_time=values.time_to_proto(policy.issued_at),
            )
        )


class Payments:
    """The payments service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._invoices = payments_rpc.InvoiceServiceStub(channel)

    def open_billing(self, policy: Policy, transaction: Transaction, installments: int, payment_method: str) -> None:
        """Have the policy billed by its installment plan. Repeating it changes nothing."""
        self._invoices.OpenBilling(
            payments_pb.OpenBillingRequest(
                policy_id=ids.encode("pol", policy.id),
                user_id=ids.encode("usr", policy.user_id),
                transaction_id=ids.encode("ptx", transaction.id),
                plan_code=policy.plan_code,
                installments=installments,
                start_date=values.date_to_proto(policy.term.starts_on),
                premium=premium_to_proto(policy.term.premium),
                issue_time=values.time_to_proto(policy.issued_at),
                payment_method=payment_method,
                time_zone=policy.time_zone,
            )
        )


def quote_from_proto(quote: quotes_pb.Quote) -> Quote:
    """What this service needs to know of a quote."""
    return Quote(
        id=ids.decode("quo", quote.quote_id),
        user_id=ids.decode("usr", quote.user_id),
        product_code=quote.product_code,
        product_version=quote.product_version,
        time_zone=quote.time_zone,
        state=_STATES.get(quote.state, "unknown"),
        valid_until=quote.valid_until_time.ToDatetime(UTC),
        starts_on=values.date_from_proto(quote.start_date, "start_date"),
        ends_on=values.date_from_proto(quote.end_date, "end_date"),
        premium=Premium(
            values.money_from_proto(quote.premium.net),
            values.money_from_proto(quote.premium.tax),
            values.money_from_proto(quote.premium.fees),
        ),
        coverages=tuple(coverage_from_proto(coverage) for coverage in quote.coverages),
        plans=dict(zip(quote.plan_codes, quote.plan_installments, strict=True)),
        policy_id=quote.policy_id,
    )


def coverage_from_proto(coverage: premium_pb2.Coverage) -> Coverage:
    """One coverage with its chosen limit and deductible."""
    return Coverage(
        coverage.coverage_code,
        values.money_from_proto(coverage.limit) if coverage.HasField("limit") else None,
        values.money_from_proto(coverage.deductible) if coverage.HasField("deductible") else None,
    )


def premium_to_proto(premium: Premium) -> premium_pb2.Premium:
    """A premium with its total."""
    return premium_pb2.Premium(
        net=values.money_to_proto(premium.net),
        tax=values.money_to_proto(premium.tax),
        fees=values.money_to_proto(premium.fees),
        total=values.money_to_proto(premium.total),
    )
