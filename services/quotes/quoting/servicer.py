"""The calls of `QuoteService`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import grpc
import sqlalchemy as sa

from bazaruto.quotes.v1 import quote_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from libs import audit, clock, ids
from libs.db import Database, violates, when_committed
from libs.errors import ResourceNotFound
from libs.identity.callers import AccessDenied
from libs.money import Money
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.quoting import measures
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.messages import (
    calculation_to_proto,
    etag_of,
    quote_to_proto,
    risk_from_proto,
    state_from_proto,
)
from services.quotes.quoting.rules import quote
from services.quotes.quoting.rules.calculation import Calculation
from services.quotes.quoting.rules.quote import PolicyAlreadyIssued, Quote
from services.quotes.quoting.store import quotes


class QuoteServicer(rpc_pb.QuoteServiceServicer):
    """Answers the calls of `QuoteService`."""

    def __init__(self, database: Database, catalogue: Catalogue, calculators: Calculators) -> None:
        self._database = database
        self._catalogue = catalogue
        self._calculators = calculators

    def CalculateQuote(
        self, request: pb.CalculateQuoteRequest, context: grpc.ServicerContext
    ) -> pb.CalculateQuoteResponse:
        return calculation_to_proto(self._calculate(request.risk, clock.now()))

    def CreateQuote(self, request: pb.CreateQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        user_id = calls.caller().user_id
        if user_id is None:
            raise AccessDenied("a quote is made for a user, and no user calls")
        now = clock.now()
        calculation = self._calculate(request.risk, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            year = calculation.risk.product.today(now).year
            number = quote.number_for(year, quotes.add_number(session))
            offer = quote.create(calculation, now, quote_id=ids.new(), user_id=user_id, number=number)
            quotes.add(session, offer)
            counted = measures.quotes.labels(offer.product_code, calculation.decision.outcome.value)
            when_committed(session, counted.inc)
            reply = quote_to_proto(offer, now)
            idempotency.keep(session, reply)
        return reply

    def GetQuote(self, request: pb.GetQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        # A policy is issued by what this says: from a replica, a quote that was just accepted may still be open.
        with self._database.reading(fresh=True) as session:
            offer = quotes.find(session, ids.decode("quo", request.quote_id))
        return quote_to_proto(self._with_lines(calls.visible(offer, "quote")), clock.now())

    def ListQuotes(self, request: pb.ListQuotesRequest, context: grpc.ServicerContext) -> pb.ListQuotesResponse:
        page = Page.of(request, "quotes", calls.caller().subject, request.state)
        now = clock.now()
        with self._database.reading() as session:
            rows = quotes.list_of(
                session, calls.scope(), state_from_proto(request.state), now, page.after_as(UUID), page.fetch
            )
        shown, token = page.cut(rows, key=lambda item: item.id)
        quotes_shown = [quote_to_proto(self._with_lines(item), now) for item in shown]
        return pb.ListQuotesResponse(quotes=quotes_shown, next_page_token=token)

    def AcceptQuote(self, request: pb.AcceptQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        with self._database.transaction() as session:
            idempotency.claim(session)
            offer = calls.owned(quotes.lock(session, ids.decode("quo", request.quote_id)), "quote")
            # Read after the lock was waited for: a validity that ended meanwhile has ended.
            now = clock.now()
            calls.current().check_etag(etag_of(offer, now))
            accepted = quote.accept(offer, now)
            quotes.save(session, accepted)
            audit.record(
                session,
                "quote_accepted",
                request.quote_id,
                before={"state": offer.state(now)},
                after={"state": accepted.state(now), "total": Money(accepted.price.total, accepted.price.currency)},
                user_id=ids.encode("usr", accepted.user_id),
            )
            reply = quote_to_proto(self._with_lines(accepted), now)
            idempotency.keep(session, reply)
        return reply

    def BindQuote(self, request: pb.BindQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        policy_id = ids.decode("pol", request.policy_id)
        transaction_id = ids.decode("ptx", request.transaction_id) if request.transaction_id else None
        issued_at = values.time_from_proto(request.issue_time)
        try:
            with self._database.transaction() as session:
                offer = quotes.lock(session, ids.decode("quo", request.quote_id))
                if offer is None:
                    raise ResourceNotFound(resource="quote")
                try:
                    bound = quote.bind(offer, policy_id, transaction_id, issued_at)
                except PolicyAlreadyIssued as error:
                    raise PolicyAlreadyIssued(policy_id=ids.encode("pol", offer.policy_id or policy_id)) from error
                if bound is not offer:
                    quotes.save(session, bound)
        except sa.exc.IntegrityError as error:
            if violates(error, "quotes_policy_unique"):
                message = "the policy was issued from another quote"
                raise PolicyAlreadyIssued(message, policy_id=request.policy_id) from error
            raise
        return quote_to_proto(self._with_lines(bound), clock.now())

    def _with_lines(self, offer: Quote) -> Quote:
        """The quote with the lines of its price. One of a program of before has none until the sweep wrote them."""
        if offer.price.lines:
            return offer
        product = self._catalogue.version(offer.product_code, offer.product_version)
        return self._calculators.with_lines(product, offer) if product else offer

    def _calculate(self, risk: pb.Risk, now: datetime) -> Calculation:
        """Price a risk with the version that is on sale."""
        product = self._catalogue.on_sale(risk.product_code, now)
        return self._calculators.calculate(product, risk_from_proto(risk), now)
