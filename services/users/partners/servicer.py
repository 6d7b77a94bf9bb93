"""The gRPC face of partners: parse, load, decide, save, reply."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.users.v1 import partner_pb2 as pb
from bazaruto.users.v1 import partner_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.rpc import calls, idempotency
from libs.rpc.pages import Page
from services.users.partners.flows import changing
from services.users.partners.messages import partner_from_proto, partner_to_proto
from services.users.partners.rules import partner
from services.users.partners.rules.partner import Partner
from services.users.partners.store import partners


class PartnerServicer(rpc_pb.PartnerServiceServicer):
    """Answers the calls of `PartnerService`."""

    def __init__(self, database: Database, has_product: Callable[[str], bool]) -> None:
        """`has_product` says of a code whether there is such a product; quotes knows it."""
        self._database = database
        self._has_product = has_product

    def CreatePartner(self, request: pb.CreatePartnerRequest, context: grpc.ServicerContext) -> pb.Partner:
        new = partner.checked(partner_from_proto(request.partner, ids.new(), clock.now()))
        with self._database.transaction() as session:
            idempotency.claim(session)
            changing.make(session, new)
            reply = partner_to_proto(new)
            idempotency.keep(session, reply)
        return reply

    def GetPartner(self, request: pb.GetPartnerRequest, context: grpc.ServicerContext) -> pb.Partner:
        partner_id = _partner_id(request.partner_id)
        with self._database.reading() as session:
            stored = partners.find(session, partner_id)
        if stored is None or not calls.scope().covers(None, stored.id):
            raise ResourceNotFound(resource="partner")
        return partner_to_proto(stored)

    def ListPartners(self, request: pb.ListPartnersRequest, context: grpc.ServicerContext) -> pb.ListPartnersResponse:
        page = Page.of(request, "partners", calls.caller().subject)
        with self._database.reading() as session:
            rows = partners.list_of(session, calls.scope(), page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListPartnersResponse(partners=map(partner_to_proto, shown), next_page_token=token)

    def UpdatePartner(self, request: pb.UpdatePartnerRequest, context: grpc.ServicerContext) -> pb.Partner:
        partner.check_mask(request.update_mask.paths)
        partner_id, now = _partner_id(request.partner.partner_id, "partner.partner_id"), clock.now()
        new = partner_from_proto(request.partner, partner_id, now)

        def update(session: Session, before: Partner) -> Partner:
            calls.current().check_etag(before.etag)
            after = partner.update(before, new, request.update_mask.paths, now)
            changing.save(session, "partner_updated", before, after)
            return after

        return self._change(partner_id, update)

    def SuspendPartner(self, request: pb.SuspendPartnerRequest, context: grpc.ServicerContext) -> pb.Partner:
        def suspend(session: Session, before: Partner) -> Partner:
            after = partner.suspend(before, clock.now())
            changing.save(session, "partner_suspended", before, after)
            return after

        return self._change(_partner_id(request.partner_id), suspend)

    def ResumePartner(self, request: pb.ResumePartnerRequest, context: grpc.ServicerContext) -> pb.Partner:
        def resume(session: Session, before: Partner) -> Partner:
            after = partner.resume(before, clock.now())
            changing.save(session, "partner_resumed", before, after)
            return after

        return self._change(_partner_id(request.partner_id), resume)

    def AddPartnerMember(
        self, request: pb.AddPartnerMemberRequest, context: grpc.ServicerContext
    ) -> pb.AddPartnerMemberResponse:
        partner_id, user_id = _partner_id(request.partner_id), ids.decode("usr", request.user_id, "user_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            locked = changing.lock(session, partner_id)
            changing.add_member(session, locked, user_id, clock.now())
            reply = pb.AddPartnerMemberResponse(partner=partner_to_proto(locked), refresh_needed=True)
            idempotency.keep(session, reply)
        return reply

    def RemovePartnerMember(self, request: pb.RemovePartnerMemberRequest, context: grpc.ServicerContext) -> pb.Partner:
        user_id = ids.decode("usr", request.user_id, "user_id")

        def remove(session: Session, of: Partner) -> Partner:
            changing.remove_member(session, of, user_id)
            return of

        return self._change(_partner_id(request.partner_id), remove)

    def SetPartnerProducts(self, request: pb.SetPartnerProductsRequest, context: grpc.ServicerContext) -> pb.Partner:
        partner_id = _partner_id(request.partner_id)
        with self._database.reading() as session:
            known = partners.find(session, partner_id)
        # Asked before the transaction, and only of what is new to the partner: products do not go away.
        partner.check_products(request.product_codes, known.product_codes if known else (), self._has_product)

        def set_products(session: Session, before: Partner) -> Partner:
            after = partner.set_products(before, request.product_codes, clock.now())
            changing.save(session, "partner_products_set", before, after)
            return after

        return self._change(partner_id, set_products)

    def _change(self, partner_id: UUID, change: Callable[[Session, Partner], Partner]) -> pb.Partner:
        """Change a partner in one transaction, with the caller's key."""
        with self._database.transaction() as session:
            idempotency.claim(session)
            reply = partner_to_proto(change(session, changing.lock(session, partner_id)))
            idempotency.keep(session, reply)
        return reply


def _partner_id(text: str, field: str = "partner_id") -> UUID:
    return ids.decode("par", text, field)
