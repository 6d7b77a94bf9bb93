"""The calls about quotes that wait for an underwriter."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import grpc

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import clock, ids
from libs.errors import FourEyes
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.quoting.flows import recording, referring
from services.quotes.quoting.messages.quotes import etag_of
from services.quotes.quoting.messages.referrals import (
    age_from_proto,
    due_time_from_proto,
    referral_to_proto,
    ruling_from_proto,
)
from services.quotes.quoting.rules import referral
from services.quotes.quoting.rules.quote import Quote
from services.quotes.quoting.rules.referral import Information, RoleMissing, Ruling, Verdict
from services.quotes.quoting.servicer.changing import Changing, caller_id
from services.quotes.quoting.store import quotes, referrals

_UNDERWRITER = "underwriter"


class ReferralCalls(Changing):
    """Listing, assigning and deciding referrals, and asking the customer."""

    def ListReferrals(
        self, request: pb.ListReferralsRequest, context: grpc.ServicerContext
    ) -> pb.ListReferralsResponse:
        assignee = ids.decode("usr", request.assignee_user_id) if request.assignee_user_id else None
        age = age_from_proto(request)
        criteria = (request.product_code, request.level, request.assignee_user_id, age)
        page = Page.of(request, "referrals", calls.caller().subject, *criteria)
        now = clock.now()
        opened_until = now - age if age else None
        after = page.after_as(_place)
        with self._database.reading() as session:
            rows = referrals.list_open(
                session, request.product_code, request.level, assignee, opened_until, now, after, page.fetch
            )
        shown, token = page.cut(rows, key=lambda row: f"{row[1].opened_at.isoformat()} {row[0].id}")
        return pb.ListReferralsResponse(
            referrals=[referral_to_proto(self._reply(quote, now), quote, entry) for quote, entry in shown],
            next_page_token=token,
        )

    def AssignReferral(self, request: pb.AssignReferralRequest, context: grpc.ServicerContext) -> pb.Referral:
        assignee = ids.decode("usr", request.user_id) if request.user_id else None
        self._owned(request.quote_id)
        caller = calls.caller()
        # The caller's own role is in their token. Others' are asked before the transaction.
        is_own = assignee == caller.user_id and _UNDERWRITER in caller.roles
        if assignee and not is_own and not self._is_underwriter(request.user_id):
            raise RoleMissing(role=_UNDERWRITER)
        with self._database.transaction() as session:
            idempotency.claim(session)
            offer = self._locked(session, request.quote_id)
            now = clock.now()
            referral.check_referred(offer, now)
            assigned = replace(referrals.find(session, offer), assignee=assignee)
            referrals.save(session, assigned)
            recording.record(session, "quote_assigned", offer, offer, now, assignee=request.user_id)
            reply = referral_to_proto(self._reply(offer, now), offer, assigned)
            idempotency.keep(session, reply)
        return reply

    def DecideReferral(self, request: pb.DecideReferralRequest, context: grpc.ServicerContext) -> pb.Quote:
        ruling, by, level = ruling_from_proto(request), caller_id(), calls.current().level
        product = self._version_of(self._owned(request.quote_id))
        with self._database.transaction() as session:
            if not request.validate_only:
                idempotency.claim(session)
            offer = self._locked(session, request.quote_id)
            now = clock.now()
            calls.current().check_etag(etag_of(offer, now))
            referral.check_referred(offer, now)
            if referral.is_own(offer, by):
                raise FourEyes(by=ids.encode("usr", by))
            referral.check_ruling(offer, ruling, level)
            decided = self._decided(product, offer, ruling, now)
            reply = self._reply(decided, now)
            if not request.validate_only:
                referring.decide(session, offer, decided, ruling, by, now)
                idempotency.keep(session, reply)
        return reply

    def RequestQuoteInformation(
        self, request: pb.RequestQuoteInformationRequest, context: grpc.ServicerContext
    ) -> pb.Quote:
        due_at, by = due_time_from_proto(request), caller_id()
        with self._database.transaction() as session:
            idempotency.claim(session)
            offer = self._locked(session, request.quote_id)
            now = clock.now()
            waiting = referral.ask(offer, request.question, due_at, now)
            entry = referrals.find(session, offer)
            question = Information(by, now, request.question, due_at)
            referrals.save(session, replace(entry, information=(*entry.information, question)))
            quotes.save(session, waiting)
            recording.record(session, "quote_information_requested", offer, waiting, now)
            reply = self._reply(waiting, now)
            idempotency.keep(session, reply)
        return reply

    def ProvideQuoteInformation(
        self, request: pb.ProvideQuoteInformationRequest, context: grpc.ServicerContext
    ) -> pb.Quote:
        with self._database.transaction() as session:
            idempotency.claim(session)
            offer, by = self._locked(session, request.quote_id), caller_id()
            now = clock.now()
            answered = referral.answer(offer, now)
            entry = referrals.find(session, offer)
            *before, open_question = entry.information
            closed_question = replace(open_question, answered_by=by, answered_at=now, answer=request.answer)
            referrals.save(session, replace(entry, information=(*before, closed_question)))
            quotes.save(session, answered)
            recording.record(session, "quote_information_provided", offer, answered, now)
            reply = self._reply(answered, now)
            idempotency.keep(session, reply)
        return reply

    def _version_of(self, offer: Quote) -> Product:
        """The version that a quote was priced with."""
        product = self._catalogue.version(offer.product_code, offer.product_version)
        if product is None:
            raise ProductNotAvailable(product=offer.product_code)
        return product

    def _decided(self, product: Product, offer: Quote, ruling: Ruling, now: datetime) -> Quote:
        if ruling.verdict is Verdict.DECLINE:
            return referral.decline(offer, ruling)
        terms = self._calculators.terms(product, offer, referral.approval_of(offer, ruling))
        return referral.approve(offer, ruling, terms, product, now)


def _place(text: str) -> tuple[datetime, UUID]:
    """The place in the queue that a page token names: when it was referred, and which quote. `ValueError`."""
    moment, quote_id = text.split(" ")
    return datetime.fromisoformat(moment), UUID(quote_id)
