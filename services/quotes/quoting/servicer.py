"""The calls of `QuoteService`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bazaruto.quotes.v1 import quote_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database, violates, when_committed
from libs.errors import FieldInvalid, ResourceNotFound
from libs.identity.callers import AccessDenied, Caller
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.quoting import measures
from services.quotes.quoting.flows import recording
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.messages import (
    calculation_to_proto,
    changed_risk,
    etag_of,
    expected_total_from_proto,
    filter_from_proto,
    quote_to_proto,
    risk_from_proto,
    start_date_from_proto,
)
from services.quotes.quoting.rules import acceptance, revision, withdrawal
from services.quotes.quoting.rules.quote import PartnerProduct, PolicyAlreadyIssued, Quote, State, number_for
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
        holder = self._holder(request, caller)
        now = clock.now()
        product, risk = self._catalogue.on_sale(request.risk.product_code, now), risk_from_proto(request.risk)
        calculation = None if request.draft else self._calculators.calculate(product, risk, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            group_id = self._group(session, request.group_id, holder) if request.group_id else None
            origin = _origin(session, product, now, caller.user_id, holder, caller.partner, group_id)
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
        return self._reply(calls.visible(offer, "quote"), clock.now())

    def ListQuotes(self, request: pb.ListQuotesRequest, context: grpc.ServicerContext) -> pb.ListQuotesResponse:
        criteria = filter_from_proto(request)
        page = Page.of(request, "quotes", calls.caller().subject, criteria)
        now = clock.now()
        with self._database.reading() as session:
            rows = quotes.list_of(session, calls.scope(), criteria, now, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListQuotesResponse(quotes=[self._reply(item, now) for item in shown], next_page_token=token)

    def AcceptQuote(self, request: pb.AcceptQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        asked = self._owned(request.quote_id)
        product = self._catalogue.version(asked.product_code, asked.product_version)
        consent = _consent(request, asked)
        with self._database.transaction() as session:
            idempotency.claim(session)
            group = quotes.lock_group(session, asked.group_id)
            offer = calls.owned(next((quote for quote in group if quote.id == asked.id), None), "quote")
            # Read after the lock was waited for: a validity that ended meanwhile has ended.
            now = clock.now()
            calls.current().check_etag(etag_of(offer, now))
            acceptance.check_acceptable(offer, now)
            withdrawal.check_group(group)
            dated = self._redated(product, offer, start_date_from_proto(request), now)
            acceptance.check_price(offer, dated, expected_total_from_proto(request))
            accepted = acceptance.accept(dated, now, product.cover.latest_days if product else 0)
            for before, after in withdrawal.give_up((quote for quote in group if quote.id != offer.id), now):
                quotes.save(session, after)
                recording.record(session, "quote_withdrawn", before, after, now, reason=after.withdraw_reason)
            quotes.save(session, accepted, revised=accepted.revision != offer.revision)
            recording.record(session, "quote_accepted", offer, accepted, now, **consent)
            reply = self._reply(accepted, now)
            idempotency.keep(session, reply)
        return reply

    def UnacceptQuote(self, request: pb.UnacceptQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        return self._changed(request.quote_id, "quote_unaccepted", acceptance.unaccept)

    def WithdrawQuote(self, request: pb.WithdrawQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        def withdraw(offer: Quote, now: datetime) -> Quote:
            return withdrawal.withdraw(offer, request.reason, now)

        return self._changed(request.quote_id, "quote_withdrawn", withdraw, reason=request.reason)

    def CloneQuote(self, request: pb.CloneQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        original = self._owned(request.quote_id)
        now = clock.now()
        product = self._catalogue.on_sale(original.product_code, now)
        user_id = calls.caller().user_id or original.user_id
        with self._database.transaction() as session:
            idempotency.claim(session)
            origin = _origin(session, product, now, user_id, original.user_id, original.partner_id, None)
            # Nothing leads out of the states that can be cloned but being bound, so that no lock is needed.
            copy = revision.clone(original, self._calculators.tariff(product), now, origin)
            quotes.add(session, copy)
            recording.record(session, "quote_cloned", original, copy, now, original=request.quote_id)
            reply = quote_to_proto(copy, now)
            idempotency.keep(session, reply)
        return reply

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
        return self._reply(bound, now)

    def _changed(
        self, quote_id: str, action: str, change: _Change, *, only_checks: bool = False, **details: str
    ) -> pb.Quote:
        """Change a quote that the caller may act on, under its lock; or answer what it would be."""
        with self._database.transaction() as session:
            if not only_checks:
                idempotency.claim(session)
            offer = calls.owned(quotes.lock(session, ids.decode("quo", quote_id)), "quote")
            # Read after the lock was waited for: a validity that ended meanwhile has ended.
            now = clock.now()
            changed = change(offer, now)
            reply = self._reply(changed, now)
            if not only_checks:
                quotes.save(session, changed, revised=changed.revision != offer.revision)
                recording.record(session, action, offer, changed, now, **details)
                if offer.price is None and changed.price is not None:
                    when_committed(session, lambda: measures.count(changed.product_code, changed.recorded_state))
                idempotency.keep(session, reply)
        return reply

    def _owned(self, quote_id: str) -> Quote:
        """A quote that the caller may act on, as it is before it is locked."""
        with self._database.reading(fresh=True) as session:
            return calls.owned(quotes.find(session, ids.decode("quo", quote_id)), "quote")

    def _product_on_sale(self, quote_id: str) -> Product:
        """The version on sale of a quote's product, looked up before the quote is locked."""
        return self._catalogue.on_sale(self._owned(quote_id).product_code, clock.now())

    def _redated(self, product: Product | None, offer: Quote, starts_on: date | None, now: datetime) -> Quote:
        """The offer for another first day of cover. Raises what keeps the risk from being taken on that day."""
        if starts_on is None or starts_on == offer.starts_on:
            return offer
        if product is None:
            raise ProductNotAvailable(product=offer.product_code)
        risk = replace(revision.asked(offer), starts_on=starts_on)
        dated = revision.redate(offer, self._calculators.calculate(product, risk, now))
        acceptance.check_acceptable(dated, now)
        return dated

    @staticmethod
    def _holder(request: pb.CreateQuoteRequest, caller: Caller) -> UUID:
        """The party that a new quote is for: one that the caller acts for."""
        holder = ids.decode("cus", request.customer_id) if request.customer_id else caller.user_id
        if holder is None or not caller.own.covers(holder):
            raise ResourceNotFound(resource="customer")
        if caller.partner is not None and request.risk.product_code not in caller.sells:
            raise PartnerProduct(product=request.risk.product_code)
        return holder

    @staticmethod
    def _group(session: Session, group_id: str, holder: UUID) -> UUID:
        """The group of a new quote, kept from being taken meanwhile: one of the same customer."""
        group = quotes.lock_group(session, ids.decode("qgr", group_id))
        if not group or any(quote.user_id != holder for quote in group):
            raise ResourceNotFound(resource="quote group")
        withdrawal.check_group(group)
        return group[0].group_id

    def _reply(self, offer: Quote, now: datetime) -> pb.Quote:
        return quote_to_proto(self._calculators.with_lines(self._catalogue, offer), now)


def _origin(
    session: Session,
    product: Product,
    now: datetime,
    created_by: UUID,
    user_id: UUID,
    partner_id: UUID | None,
    group_id: UUID | None,
) -> Origin:
    """What a new quote is told by, with the next number."""
    number = number_for(product.today(now).year, quotes.add_number(session))
    return Origin(ids.new(), number, user_id, created_by, partner_id, group_id)


def _consent(request: pb.AcceptQuoteRequest, offer: Quote) -> dict[str, str]:
    """How the customer agreed, where the caller does not act for the customer."""
    if not calls.caller().own.covers(offer.user_id) and not request.consent:
        raise FieldInvalid(violations={"consent": "is needed of a caller who does not act for the customer"})
    return {"consent": request.consent} if request.consent else {}
