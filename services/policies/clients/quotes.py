"""The quotes service as policies calls it."""

from __future__ import annotations

from datetime import UTC
from uuid import UUID

import grpc

from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import product_rules_pb2 as rules_pb
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from bazaruto.quotes.v1 import quote_pb2_grpc as quotes_rpc
from libs import ids
from libs.rpc import values
from services.policies.clients.products import product_rules_from_proto
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.quote import NEW_BUSINESS, Quote, QuoteNotAccepted

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

    def get_product_rules(self, product_code: str, version: int) -> ProductRules:
        """What a version of a product says of its policies. It never changes, so that it is asked for once."""
        if (product_code, version) not in self._rules:
            request = rules_pb.GetProductRulesRequest(product_code=product_code, version=version)
            self._rules[product_code, version] = product_rules_from_proto(self._products.GetProductRules(request))
        return self._rules[product_code, version]


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
