"""The calls of the policies service: quotes for its policies, and which transaction took a quote."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import clock, ids
from libs.db import violates
from libs.errors import ResourceNotFound
from libs.rpc import calls, idempotency, values
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.quoting.flows import recording, referring
from services.quotes.quoting.messages.policies import stretch_from_proto, subject_from_proto
from services.quotes.quoting.rules import acceptance, policy_quote
from services.quotes.quoting.rules.carrying import Earlier
from services.quotes.quoting.rules.policy_quote import Stretch
from services.quotes.quoting.rules.quote import PolicyAlreadyIssued
from services.quotes.quoting.servicer.changing import Changing, origin
from services.quotes.quoting.store import quotes, segments


class PolicyCalls(Changing):
    """Quoting for policies, and binding."""

    def CreatePolicyQuote(self, request: pb.CreatePolicyQuoteRequest, context: grpc.ServicerContext) -> pb.Quote:
        product = self._version(request.product_code, request.product_version)
        stretches = [stretch_from_proto(segment, f"segments[{i}]") for i, segment in enumerate(request.segments)]
        policy_quote.check_days(stretches)
        subject = subject_from_proto(request)
        if request.with_successor:
            policy_quote.check_next_term(subject, stretches)
            product = self._catalogue.successor(product, stretches[0].starts_on)
        versions = {stretch.product_version for stretch in stretches if stretch.product_version}
        others = {number: self._calculators.of(self._version(product.code, number)) for number in versions}
        holder = ids.decode("cus", request.customer_id)
        partner_id = ids.decode("par", request.partner_id) if request.partner_id else None
        created_by = calls.caller().user_id or holder
        now = clock.now()
        with self._database.transaction() as session:
            idempotency.claim(session)
            of = origin(session, product, now, holder=holder, created_by=created_by, partner_id=partner_id)
            calculator, earlier = self._calculators.of(product), self._earlier(session, stretches)
            if request.with_successor:
                offer = policy_quote.next_term(calculator, subject, stretches[0], now, of, earlier)
            else:
                offer = policy_quote.create(calculator, subject, stretches, now, of, others, earlier)
            referring.add(session, offer)
            reply = self._reply(offer, now)
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
                offer = segments.find(session, offer)
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

    def _earlier(self, session: Session, stretches: Sequence[Stretch]) -> dict[UUID, Earlier]:
        """The quotes that the policy took before, by their ids. Of one that nobody knows nothing was approved."""
        earlier = {}
        for quote_id in {stretch.quote_id for stretch in stretches}:
            if quote_id and (taken := quotes.find(session, quote_id)):
                version = self._version(taken.product_code, taken.product_version)
                earlier[quote_id] = Earlier(segments.find(session, taken), version)
        return earlier

    def _version(self, code: str, number: int) -> Product:
        product = self._catalogue.version(code, number)
        if product is None:
            raise ProductNotAvailable(product=code)
        return product
