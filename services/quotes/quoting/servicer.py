"""The calls of `QuoteService`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import grpc
import sqlalchemy as sa

from bazaruto.quotes.v1 import quote_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database, violates, when_committed
from libs.errors import ResourceNotFound
from libs.identity.callers import AccessDenied
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting import measures
from services.quotes.quoting.flows import recording
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.messages import (
    calculation_to_proto,
    changed_risk,
    etag_of,
    quote_to_proto,
    risk_from_proto,
    state_from_proto,
)
from services.quotes.quoting.rules import acceptance, revision
from services.quotes.quoting.rules.quote import PolicyAlreadyIssued, Quote, State, number_for
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.store import quotes

_Change = Callable[[Quote, datetime], Quote]


class QuoteServicer(rpc_pb.QuoteServiceServicer):
    """Answers the calls of `QuoteService`."""

    def __init__(self, database: Database, catalogue: Catalogue, calculators: Calculators) -> None:
        self._database = database
        self._catalogue = catalogue
        self._calculators = calculators

    def CalculateQuote(
        self, request: pb.CalculateQuoteRequest, context: grpc.ServicerContext
    ) -> pb.CalculateQuoteResponse:
        now = clock.now()
        product = self._catalogue.on_sale(request.risk.product_code, now)
        return calculation_to_proto(self._calculators.calculate(product, risk_from_proto(request.risk), now))

    def CreateQuote(self, request: pb.CreateQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        caller = calls.caller()
        if caller.user_id is None:
            raise AccessDenied("a quote is made for a user, and no user calls")
        now = clock.now()
        product, risk = self._catalogue.on_sale(request.risk.product_code, now), risk_from_proto(request.risk)
        calculation = None if request.draft else self._calculators.calculate(product, risk, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            number = number_for(product.today(now).year, quotes.add_number(session))
            origin = Origin(ids.new(), number, caller.user_id, created_by=caller.user_id, partner_id=caller.partner)
            if calculation is None:
                offer = revision.draft(self._calculators.tariff(product), risk, now, origin)
            else:
                offer = revision.create(calculation, now, origin)
                when_committed(session, lambda: measures.count(offer.product_code, offer.recorded_state))
            quotes.add(session, offer)
            recording.record_referral(session, offer)
            reply = quote_to_proto(offer, now)
            idempotency.keep(session, reply)
        return reply

    def UpdateQuote(self, request: pb.UpdateQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        paths = request.update_mask.paths
        revision.check_mask(paths)
        product = self._product_on_sale(request.quote.quote_id)

        def update(offer: Quote, now: datetime) -> Quote:
            calls.current().check_etag(etag_of(offer, now))
            revision.check_changeable(offer, now)
            risk = changed_risk(revision.asked(offer), request.quote, paths)
            if offer.recorded_state is State.DRAFT:
                return revision.update_draft(offer, self._calculators.tariff(product), risk, now)
            return revision.update(offer, self._calculators.calculate(product, risk, now), now)

        return self._changed(request.quote.quote_id, "quote_updated", update, only_checks=request.validate_only)

    def PriceQuote(self, request: pb.PriceQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        product = self._product_on_sale(request.quote_id)

        def price(offer: Quote, now: datetime) -> Quote:
            revision.check_draft(offer, product, now)
            calculation = self._calculators.calculate(product, revision.asked(offer), now)
            return revision.price(offer, calculation, now)

        return self._changed(request.quote_id, "quote_priced", price)

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
        def accept(offer: Quote, now: datetime) -> Quote:
            calls.current().check_etag(etag_of(offer, now))
            return acceptance.accept(offer, now)

        return self._changed(request.quote_id, "quote_accepted", accept)

    def BindQuote(self, request: pb.BindQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        policy_id = ids.decode("pol", request.policy_id)
        transaction_id = ids.decode("ptx", request.transaction_id) if request.transaction_id else None
        now = clock.now()
        try:
            with self._database.transaction() as session:
                offer = quotes.lock(session, ids.decode("quo", request.quote_id))
                if offer is None:
                    raise ResourceNotFound(resource="quote")
                try:
                    bound = acceptance.bind(offer, policy_id, transaction_id)
                except PolicyAlreadyIssued as error:
                    raise PolicyAlreadyIssued(policy_id=ids.encode("pol", offer.policy_id or policy_id)) from error
                if bound is not offer:
                    quotes.save(session, bound)
                    issued_at = values.time_from_proto(request.issue_time).isoformat()
                    recording.record(session, "quote_bound", offer, bound, now, issued_at=issued_at)
        except sa.exc.IntegrityError as error:
            if violates(error, "quotes_transaction_unique"):
                message = "the transaction took another quote"
                raise PolicyAlreadyIssued(message, policy_id=request.policy_id) from error
            raise
        return quote_to_proto(self._with_lines(bound), now)

    def _changed(self, quote_id: str, action: str, change: _Change, *, only_checks: bool = False) -> pb.Quote:
        """Change a quote that the caller may act on, under its lock; or answer what it would be."""
        with self._database.transaction() as session:
            if not only_checks:
                idempotency.claim(session)
            offer = calls.owned(quotes.lock(session, ids.decode("quo", quote_id)), "quote")
            # Read after the lock was waited for: a validity that ended meanwhile has ended.
            now = clock.now()
            changed = change(offer, now)
            reply = quote_to_proto(self._with_lines(changed), now)
            if not only_checks:
                quotes.save(session, changed, revised=changed.revision != offer.revision)
                recording.record(session, action, offer, changed, now)
                if offer.price is None and changed.price is not None:
                    when_committed(session, lambda: measures.count(changed.product_code, changed.recorded_state))
                idempotency.keep(session, reply)
        return reply

    def _product_on_sale(self, quote_id: str) -> Product:
        """The version on sale of a quote's product, looked up before the quote is locked."""
        with self._database.reading(fresh=True) as session:
            offer = calls.owned(quotes.find(session, ids.decode("quo", quote_id)), "quote")
        return self._catalogue.on_sale(offer.product_code, clock.now())

    def _with_lines(self, offer: Quote) -> Quote:
        """The quote with the lines of its price. One of a program of before has none until the sweep wrote them."""
        if offer.price is None or offer.price.lines:
            return offer
        product = self._catalogue.version(offer.product_code, offer.product_version)
        return self._calculators.with_lines(product, offer) if product else offer
