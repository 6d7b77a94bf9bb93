"""The services that policies calls: users, quotes and payments. Messages in and out, domain values here."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, date
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.payments.v1 import billing_pb2 as billing_pb
from bazaruto.payments.v1 import billing_pb2_grpc as billing_rpc
from bazaruto.payments.v1 import invoice_pb2 as payments_pb
from bazaruto.payments.v1 import invoice_pb2_grpc as payments_rpc
from bazaruto.payments.v1 import payment_method_pb2 as methods_pb
from bazaruto.payments.v1 import payment_method_pb2_grpc as methods_rpc
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from bazaruto.quotes.v1 import quote_pb2_grpc as quotes_rpc
from bazaruto.users.v1 import auth_pb2 as users_pb
from bazaruto.users.v1 import auth_pb2_grpc as users_rpc
from bazaruto.users.v1 import customer_pb2 as customers_pb
from bazaruto.users.v1 import customer_pb2_grpc as customers_rpc
from libs import ids
from libs.identity.verification import public_key
from libs.rpc import values
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.quote import NEW_BUSINESS, Quote, QuoteNotAccepted
from services.policies.lifecycle.rules.term import Term
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType

_MOMENT = 1.0  # seconds that an answer is waited for which can be done without
_STATES = {
    quotes_pb.Quote.STATE_DRAFT: "draft",
    quotes_pb.Quote.STATE_QUOTED: "quoted",
    quotes_pb.Quote.STATE_REFERRED: "referred",
    quotes_pb.Quote.STATE_DECLINED: "declined",
    quotes_pb.Quote.STATE_ACCEPTED: "accepted",
    quotes_pb.Quote.STATE_BOUND: "bound",
    quotes_pb.Quote.STATE_EXPIRED: "expired",
    quotes_pb.Quote.STATE_WITHDRAWN: "withdrawn",
}
_KINDS = {
    quotes_pb.Quote.KIND_ENDORSEMENT: "endorsement",
    quotes_pb.Quote.KIND_RENEWAL: "renewal",
}
_TYPES = {
    TransactionType.NEW_BUSINESS: billing_pb.POLICY_TRANSACTION_TYPE_NEW_BUSINESS,
    TransactionType.NOT_TAKEN: billing_pb.POLICY_TRANSACTION_TYPE_NOT_TAKEN,
}


class Users:
    """The users service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = users_rpc.AuthServiceStub(channel)
        self._customers = customers_rpc.CustomerServiceStub(channel)

    def check_customer(self, customer_id: str) -> None:
        """Refuse a party that the caller may not read, as one that does not exist; users decides that."""
        self._customers.GetCustomer(customers_pb.GetCustomerRequest(customer_id=customer_id))

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys that verify access tokens, by id. `NeighbourUnavailable` when users does not answer."""
        keys = self._auth.ListPublicKeys(users_pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}

    def ended_sessions(self) -> AbstractSet[UUID]:
        """The log-ins whose access tokens are refused. `NeighbourUnavailable` when users does not answer."""
        listed = self._auth.ListEndedSessions(users_pb.ListEndedSessionsRequest()).session_ids
        return {ids.decode("ses", session_id) for session_id in listed}


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._quotes = quotes_rpc.QuoteServiceStub(channel)

    def get_quote(self, quote_id: str) -> Quote:
        """A quote that the caller may see; the quotes service decides that.

        `QuoteNotAccepted` for one without a price: a draft, or a risk that is declined.
        """
        quote = self._quotes.GetQuote(quotes_pb.GetQuoteRequest(quote_id=quote_id))
        if not quote.HasField("premium"):
            raise QuoteNotAccepted(state=_STATES.get(quote.state, "unknown"))
        return quote_from_proto(quote)

    def bind_quote(self, policy: Policy, transaction_id: UUID) -> None:
        """Record by which transaction the policy took its quote. Repeating it changes nothing."""
        self._quotes.BindQuote(
            quotes_pb.BindQuoteRequest(
                quote_id=ids.encode("quo", policy.quote_id),
                policy_id=ids.encode("pol", policy.id),
                issue_time=values.time_to_proto(policy.issued_at),
                transaction_id=ids.encode("ptx", transaction_id),
            )
        )


class Payments:
    """The payments service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._invoices = payments_rpc.InvoiceServiceStub(channel)
        self._billing = billing_rpc.BillingServiceStub(channel)
        self._methods = methods_rpc.PaymentMethodServiceStub(channel)

    def payer_of(self, method_id: str) -> UUID:
        """The party that keeps a payment method. One that the caller may not use does not exist: payments decides."""
        method = self._methods.GetPaymentMethod(methods_pb.GetPaymentMethodRequest(payment_method_id=method_id))
        return ids.decode("cus", method.customer_id)

    def next_due_on(self, policy_id: UUID) -> date | None:
        """The first day on which something falls due for a policy that is not paid; None where all is paid.

        `RemoteError` where nothing is billed yet, `NeighbourUnavailable` when there is no answer within a moment.
        """
        request = billing_pb.GetNextDueDateRequest(policy_id=ids.encode("pol", policy_id))
        answer = self._billing.GetNextDueDate(request, timeout=_MOMENT)
        return values.optional_date(answer, "next_due_date")

    def apply_transaction(
        self,
        policy: Policy,
        transaction: Transaction,
        installments: int,
        payment_method: str,
        method_id: UUID | None = None,
    ) -> None:
        """Have what a transaction changes billed and booked. `policy` is as the transaction left it.

        Repeating it changes nothing. `installments` are those of the plan of a term that it begins; the first of them
        is collected with the token `payment_method`, or with the payment method `method_id`, where there is one.
        """
        term = policy.term_numbered(transaction.term_number) or policy.terms[0]
        plan = billing_pb.Schedule(plan_code=policy.plan_code, installments=installments) if installments else None
        self._billing.ApplyPolicyTransaction(
            billing_pb.ApplyPolicyTransactionRequest(
                policy_id=ids.encode("pol", policy.id),
                transaction_id=ids.encode("ptx", transaction.id),
                billing_sequence=transaction.billing_sequence or 0,
                type=_TYPES[transaction.type],
                term_number=term.number,
                customer_id=ids.encode("cus", policy.user_id),
                payer_id=ids.encode("cus", policy.payer_id),
                partner_id=ids.encode("par", policy.partner_id) if policy.partner_id else "",
                product_code=policy.product_code,
                product_version=term.product_version,
                time_zone=policy.time_zone,
                term_start_date=values.date_to_proto(term.starts_on),
                term_end_date=values.date_to_proto(term.ends_on),
                effective_date=values.date_to_proto(transaction.effective_on),
                issue_time=values.time_to_proto(transaction.issued_at),
                lines=[values.charge_line_to_proto(line) for line in transaction.lines],
                total=values.money_to_proto(premium_of(transaction.lines, term.currency).total),
                schedule=plan,
                timeline=_timeline_to_proto(term),
                reason=transaction.reason,
                payment_method=payment_method,
                payment_method_id=ids.encode("pmt", method_id) if method_id else "",
            )
        )

    def open_billing(self, policy: Policy, transaction: Transaction, installments: int, payment_method: str) -> None:
        """Have the policy billed by its installment plan. Repeating it changes nothing."""
        term = policy.terms[0]
        self._invoices.OpenBilling(
            payments_pb.OpenBillingRequest(
                policy_id=ids.encode("pol", policy.id),
                user_id=ids.encode("usr", policy.user_id),
                transaction_id=ids.encode("ptx", transaction.id),
                plan_code=policy.plan_code,
                installments=installments,
                start_date=values.date_to_proto(term.starts_on),
                premium=values.premium_to_proto(premium_of(term.lines(), term.currency)),
                issue_time=values.time_to_proto(policy.issued_at),
                payment_method=payment_method,
                time_zone=policy.time_zone,
            )
        )


def _timeline_to_proto(term: Term) -> list[billing_pb.TimelineLine]:
    """The net premium of a term by object, coverage and segment."""
    return [
        billing_pb.TimelineLine(
            term_number=term.number,
            object_id=object_id,
            coverage_code=coverage_code,
            start_date=values.date_to_proto(segment.starts_on),
            end_date=values.date_to_proto(segment.ends_on),
            full_term_amount=values.money_to_proto(amount),
            term_days=term.days,
        )
        for segment in term.segments
        for (object_id, coverage_code), amount in segment.full_term.items()
    ]


def quote_from_proto(quote: quotes_pb.Quote) -> Quote:
    """What this service needs to know of a quote."""
    user_id = ids.decode("usr", quote.user_id)
    return Quote(
        id=ids.decode("quo", quote.quote_id),
        user_id=ids.decode("cus", quote.customer_id) if quote.customer_id else user_id,
        created_by=user_id,
        product_code=quote.product_code,
        product_version=quote.product_version,
        time_zone=quote.time_zone,
        state=_STATES.get(quote.state, "unknown"),
        valid_until=quote.valid_until_time.ToDatetime(UTC),
        starts_on=values.date_from_proto(quote.start_date, "start_date"),
        ends_on=values.date_from_proto(quote.end_date, "end_date"),
        premium=values.premium_from_proto(quote.premium),
        coverages=tuple(values.coverage_from_proto(coverage) for coverage in quote.coverages),
        plans=dict(zip(quote.plan_codes, quote.plan_installments, strict=True)),
        policy_id=quote.policy_id,
        partner_id=ids.decode("par", quote.partner_id) if quote.partner_id else None,
        kind=_KINDS.get(quote.kind, NEW_BUSINESS),
        answers=values.struct_from_proto(quote.answers),
        objects=tuple(values.insured_object_from_proto(item) for item in quote.objects),
        lines=tuple(values.charge_line_from_proto(line, "premium.lines") for line in quote.premium.lines),
    )
