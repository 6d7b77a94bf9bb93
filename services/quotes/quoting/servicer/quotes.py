"""The calls of `QuoteService`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.quotes.v1 import quote_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import when_committed
from libs.errors import FieldInvalid, ResourceNotFound
from libs.identity.callers import Caller
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.quoting import measures
from services.quotes.quoting.flows import recording, referring
from services.quotes.quoting.messages.quotes import (
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
from services.quotes.quoting.rules.quote import Kind, PartnerProduct, Quote, State
from services.quotes.quoting.servicer.changing import caller_id, origin
from services.quotes.quoting.servicer.policies import PolicyCalls
from services.quotes.quoting.servicer.referrals import ReferralCalls
from services.quotes.quoting.store import quotes, segments


class QuoteServicer(ReferralCalls, PolicyCalls, rpc_pb.QuoteServiceServicer):
    """Answers the calls of `QuoteService`."""

    def CalculateQuote(
        self, request: pb.CalculateQuoteRequest, context: grpc.ServicerContext
    ) -> pb.CalculateQuoteResponse:
        now = clock.now()
        product = self._catalogue.on_sale(request.risk.product_code, now)
        return calculation_to_proto(self._calculators.calculate(product, risk_from_proto(request.risk), now))

    def CreateQuote(self, request: pb.CreateQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        caller, user_id = calls.caller(), caller_id()
        holder = _holder(request, caller)
        now = clock.now()
        product, risk = self._catalogue.on_sale(request.risk.product_code, now), risk_from_proto(request.risk)
        calculation = None if request.draft else self._calculators.calculate(product, risk, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            group_id = _group(session, request.group_id, holder) if request.group_id else None
            of = origin(
                session, product, now,
                holder=holder, created_by=user_id, partner_id=caller.partner, group_id=group_id,
            )  # fmt: skip
            if calculation is None:
                offer = revision.draft(self._calculators.tariff(product), risk, now, of)
            else:
                offer = revision.create(calculation, now, of)
                when_committed(session, lambda: measures.count(offer.product_code, offer.recorded_state))
            referring.add(session, offer)
            reply = quote_to_proto(offer, now)
            idempotency.keep(session, reply)
        return reply

    def UpdateQuote(self, request: pb.UpdateQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        paths = request.update_mask.paths
        revision.check_mask(paths)
        product, by = self._product_on_sale(request.quote.quote_id), caller_id()

        def update(offer: Quote, now: datetime) -> Quote:
            calls.current().check_etag(etag_of(offer, now))
            revision.check_changeable(offer, now)
            risk = changed_risk(revision.risk_of(offer), request.quote, paths)
            if offer.recorded_state is State.DRAFT:
                return revision.update_draft(offer, self._calculators.tariff(product), risk, now, by)
            calculation = self._calculators.calculate_again(product, offer, risk, now)
            return revision.update(offer, calculation, now, by)

        return self._changed(request.quote.quote_id, "quote_updated", update, only_checks=request.validate_only)

    def PriceQuote(self, request: pb.PriceQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        product = self._product_on_sale(request.quote_id)

        def price(offer: Quote, now: datetime) -> Quote:
            revision.check_draft(offer, product, now)
            calculation = self._calculators.calculate(product, revision.risk_of(offer), now)
            return revision.price(offer, calculation, now)

        return self._changed(request.quote_id, "quote_priced", price)

    def GetQuote(self, request: pb.GetQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        # A policy is issued by what this says: from a replica, a quote that was just accepted may still be open.
        with self._database.reading(fresh=True) as session:
            offer = calls.visible(quotes.find(session, ids.decode("quo", request.quote_id)), "quote")
            offer = segments.find(session, offer)
        return self._reply(offer, clock.now())

    def ListQuotes(self, request: pb.ListQuotesRequest, context: grpc.ServicerContext) -> pb.ListQuotesResponse:
        criteria = filter_from_proto(request)
        page = Page.of(request, "quotes", calls.caller().subject, criteria)
        now = clock.now()
        with self._database.reading() as session:
            rows = quotes.list_of(session, calls.scope(), criteria, now, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListQuotesResponse(quotes=[self._reply(item, now) for item in shown], next_page_token=token)

    def AcceptQuote(self, request: pb.AcceptQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        target = self._owned(request.quote_id)
        product = self._catalogue.version(target.product_code, target.product_version)
        consent = _consent(request, target)
        with self._database.transaction() as session:
            idempotency.claim(session)
            group = quotes.lock_group(session, target.group_id)
            offer = calls.owned(next((quote for quote in group if quote.id == target.id), None), "quote")
            offer = segments.find(session, offer)
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
            referring.save(session, "quote_accepted", offer, accepted, now, **consent)
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
        original, user_id = self._owned(request.quote_id), caller_id()
        now = clock.now()
        product = self._catalogue.on_sale(original.product_code, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            of = origin(
                session, product, now,
                holder=original.user_id, created_by=user_id, partner_id=original.partner_id,
            )  # fmt: skip
            # Nothing leads out of the states that can be cloned but being bound, so that no lock is needed.
            copy = revision.clone(original, self._calculators.tariff(product), now, of)
            quotes.add(session, copy)
            recording.record(session, "quote_cloned", original, copy, now, original=request.quote_id)
            reply = quote_to_proto(copy, now)
            idempotency.keep(session, reply)
        return reply

    def _redated(self, product: Product | None, offer: Quote, starts_on: date | None, now: datetime) -> Quote:
        """The offer for another first day of cover. Raises what keeps the risk from being taken on that day."""
        if starts_on is None or starts_on == offer.starts_on:
            return offer
        if offer.kind is not Kind.NEW_BUSINESS:
            raise FieldInvalid(violations={"start_date": "cannot be another one of a quote for a policy"})
        if product is None:
            raise ProductNotAvailable(product=offer.product_code)
        risk = replace(revision.risk_of(offer), starts_on=starts_on)
        dated = revision.redate(offer, self._calculators.calculate_again(product, offer, risk, now))
        acceptance.check_acceptable(dated, now)
        return dated


def _holder(request: pb.CreateQuoteRequest, caller: Caller) -> UUID:
    """The party that a new quote is for: one that the caller acts for."""
    holder = ids.decode("cus", request.customer_id) if request.customer_id else caller.user_id
    if holder is None or not caller.own.covers(holder):
        raise ResourceNotFound(resource="customer")
    if caller.partner is not None and request.risk.product_code not in caller.sells:
        raise PartnerProduct(product=request.risk.product_code)
    return holder


def _group(session: Session, group_id: str, holder: UUID) -> UUID:
    """The group of a new quote, kept from being taken meanwhile: one of the same customer."""
    group = quotes.lock_group(session, ids.decode("qgr", group_id))
    if not group or any(quote.user_id != holder for quote in group):
        raise ResourceNotFound(resource="quote group")
    withdrawal.check_group(group)
    return group[0].group_id


def _consent(request: pb.AcceptQuoteRequest, offer: Quote) -> dict[str, str]:
    """How the customer agreed, where the caller does not act for the customer."""
    if not calls.caller().own.covers(offer.user_id) and not request.consent:
        raise FieldInvalid(violations={"consent": "is needed of a caller who does not act for the customer"})
    return {"consent": request.consent} if request.consent else {}
