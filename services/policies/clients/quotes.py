"""The quotes service as policies calls it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from uuid import UUID

import grpc

from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import product_rules_pb2 as rules_pb
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from bazaruto.quotes.v1 import quote_pb2_grpc as quotes_rpc
from libs import ids
from libs.premium import LineKind
from libs.rpc import idempotency, values
from services.policies.clients.products import product_rules_from_proto
from services.policies.lifecycle.rules.endorsement import Stretch
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.quote import NEW_BUSINESS, Priced, Quote, QuoteNotAccepted
from services.policies.lifecycle.rules.renewal import Offer, days_of_next, last_term
from services.policies.lifecycle.rules.term import Risk
from services.policies.lifecycle.rules.transaction import Transaction

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


Metadata = tuple[tuple[str, str], ...]


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._quotes = quotes_rpc.QuoteServiceStub(channel)
        self._products = products_rpc.ProductServiceStub(channel)
        self._rules: dict[tuple[str, int], ProductRules] = {}

    def get_quote(self, quote_id: str) -> Quote:
        """A quote that the caller may see; the quotes service decides that.

        `QuoteNotAccepted` for one without a price: a draft, or a risk that is declined.
        """
        quote = self._quotes.GetQuote(quotes_pb.GetQuoteRequest(quote_id=quote_id))
        if not quote.HasField("premium"):
            raise QuoteNotAccepted(state=_STATES.get(quote.state, "unknown"))
        return quote_from_proto(quote)

    def create_change_quote(
        self, policy: Policy, timeline_sequence: int, stretches: Sequence[Stretch]
    ) -> tuple[quotes_pb.Quote, Quote | None]:
        """Have a change of a policy priced and underwritten, as the user who asks for it: a quote, which quotes keeps
        under the key of the call, with what this service needs to know of it; None where the risk is declined.
        """
        first = stretches[0].term
        request = quotes_pb.CreatePolicyQuoteRequest(
            kind=quotes_pb.Quote.KIND_ENDORSEMENT,
            policy_id=ids.encode("pol", policy.id),
            timeline_sequence=timeline_sequence,
            product_code=policy.product_code,
            product_version=first.product_version,
            customer_id=ids.encode("cus", policy.user_id),
            partner_id=ids.encode("par", policy.partner_id) if policy.partner_id else "",
            segments=[_stretch_to_proto(stretch) for stretch in stretches],
        )
        made = self._quotes.CreatePolicyQuote(request, metadata=idempotency.forwarded())
        return made, quote_from_proto(made) if made.HasField("premium") else None

    def find_priced(self, quote_id: str) -> Quote | None:
        """A quote as the platform itself sees it; None for one without a price: a draft, or a declined risk."""
        quote = self._quotes.GetQuote(quotes_pb.GetQuoteRequest(quote_id=quote_id))
        return quote_from_proto(quote) if quote.HasField("premium") else None

    def bind_quote(self, policy: Policy, transaction: Transaction) -> None:
        """Record by which transaction the policy took a quote. Repeating it changes nothing."""
        self._quotes.BindQuote(
            quotes_pb.BindQuoteRequest(
                quote_id=ids.encode("quo", transaction.quote_id or policy.quote_id),
                policy_id=ids.encode("pol", policy.id),
                issue_time=values.time_to_proto(transaction.issued_at),
                transaction_id=ids.encode("ptx", transaction.id),
            )
        )

    def quote_next_term(self, policy: Policy, risk: Risk, sequence: int, key: Metadata, quote_id: UUID) -> Offer:
        """Have the next term of a policy priced, with the version that follows that of its last one.

        `sequence` is the newest transaction that wrote the last term, `key` the metadata that the quotes service knows
        a repeated call by, `quote_id` the quote by which the policy was priced last.
        """
        last, (starts_on, ends_on) = last_term(policy), days_of_next(policy)
        segment = quotes_pb.PolicyQuoteSegment(
            start_date=values.date_to_proto(starts_on),
            end_date=values.date_to_proto(ends_on),
            objects=[values.insured_object_to_proto(insured) for insured in risk.objects],
            quote_id=ids.encode("quo", quote_id),
        )
        for coverage in risk.coverages:
            values.fill_coverage(segment.coverages.add(), coverage)
        values.fill_struct(segment.answers, risk.answers)
        request = quotes_pb.CreatePolicyQuoteRequest(
            kind=quotes_pb.Quote.KIND_RENEWAL,
            policy_id=ids.encode("pol", policy.id),
            timeline_sequence=sequence,
            product_code=policy.product_code,
            product_version=last.product_version,
            customer_id=ids.encode("cus", policy.user_id),
            partner_id=ids.encode("par", policy.partner_id) if policy.partner_id else "",
            segments=[segment],
            with_successor=True,
        )
        return offer_from_proto(self._quotes.CreatePolicyQuote(request, metadata=key))

    def get_product_rules(self, product_code: str, version: int) -> ProductRules:
        """What a version of a product says of its policies. It never changes, so that it is asked for once."""
        if (product_code, version) not in self._rules:
            request = rules_pb.GetProductRulesRequest(product_code=product_code, version=version)
            self._rules[product_code, version] = product_rules_from_proto(self._products.GetProductRules(request))
        return self._rules[product_code, version]


def _stretch_to_proto(stretch: Stretch) -> quotes_pb.PolicyQuoteSegment:
    message = quotes_pb.PolicyQuoteSegment(
        start_date=values.date_to_proto(stretch.starts_on),
        end_date=values.date_to_proto(stretch.ends_on),
        unchanged=not stretch.is_changed,
        added_dates={name: values.date_to_proto(day) for name, day in stretch.added.items()},
        product_version=stretch.term.product_version,
        term_start_date=values.date_to_proto(stretch.term.starts_on),
        quote_id=ids.encode("quo", stretch.quote_id),
    )
    values.fill_struct(message.answers, stretch.risk.answers)
    for coverage in stretch.risk.coverages:
        values.fill_coverage(message.coverages.add(), coverage)
    for insured in stretch.risk.objects:
        values.fill_insured_object(message.objects.add(), insured)
    return message


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
        timeline_sequence=quote.timeline_sequence,
        segments=tuple(_priced_from_proto(segment) for segment in quote.segments),
    )


def _priced_from_proto(segment: quotes_pb.QuoteSegment) -> Priced:
    lines = [values.charge_line_from_proto(line, "segments.premium.lines") for line in segment.premium.lines]
    return Priced(
        values.date_from_proto(segment.start_date, "segments.start_date"),
        values.date_from_proto(segment.end_date, "segments.end_date"),
        Risk(
            values.struct_from_proto(segment.answers),
            tuple(values.insured_object_from_proto(item) for item in segment.objects),
            tuple(values.coverage_from_proto(coverage) for coverage in segment.coverages),
        ),
        {(line.object_id, line.coverage_code): line.amount for line in lines if line.kind is LineKind.PREMIUM},
    )


def offer_from_proto(quote: quotes_pb.Quote) -> Offer:
    """What is offered of a next term."""
    return Offer(
        quote_id=ids.decode("quo", quote.quote_id),
        state=_STATES.get(quote.state, "unknown"),
        product_version=quote.product_version,
        starts_on=values.date_from_proto(quote.start_date, "start_date"),
        ends_on=values.optional_date(quote, "end_date"),
        premium=values.premium_from_proto(quote.premium) if quote.HasField("premium") else None,
        lines=tuple(values.charge_line_from_proto(line, "premium.lines") for line in quote.premium.lines),
        valid_until=quote.valid_until_time.ToDatetime(UTC),
    )
