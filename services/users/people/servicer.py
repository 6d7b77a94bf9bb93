"""The gRPC face of customers: parse, load, decide, save, reply."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import grpc
import sqlalchemy as sa

from bazaruto.users.v1 import customer_pb2 as pb
from bazaruto.users.v1 import customer_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.db import Database, violates
from libs.errors import ResourceNotFound
from libs.identity.callers import AccessDenied, Caller
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.users.people.adapters.sealing import FieldKeys
from services.users.people.flows import changing, linking, making, telling
from services.users.people.messages import customer_from_proto, customer_to_proto
from services.users.people.rules import customer
from services.users.people.rules.customer import Customer
from services.users.people.rules.tax_id import TaxId, normalised
from services.users.people.store import customers
from services.users.people.store.customers import Filter


class CustomerServicer(rpc_pb.CustomerServiceServicer):
    """Answers the calls of `CustomerService`."""

    def __init__(self, database: Database, keys: FieldKeys) -> None:
        self._database = database
        self._keys = keys

    def CreateCustomer(
        self, request: pb.CreateCustomerRequest, context: grpc.ServicerContext
    ) -> pb.CreateCustomerResponse:
        now, caller = clock.now(), calls.caller()
        customer_id = ids.new()
        tax_id = self._sealed(request.customer, customer_id)
        new = customer_from_proto(request.customer, customer_id, tax_id, _partner_of(caller), now)
        new = customer.checked(new, now.date())
        is_own = "customer" in caller.roles
        with self._database.transaction() as session:
            idempotency.claim(session)
            if not request.allow_duplicate:
                making.check_unique(session, new, calls.scope())
            making.make(session, new, caller.user_id if is_own else None, now)
            reply = pb.CreateCustomerResponse(customer=customer_to_proto(new), refresh_needed=is_own)
            idempotency.keep(session, reply)
        return reply

    def GetCustomer(self, request: pb.GetCustomerRequest, context: grpc.ServicerContext) -> pb.Customer:
        customer_id = ids.decode("cus", request.customer_id, "customer_id")
        with self._database.reading() as session:
            party = calls.visible(customers.find(session, customer_id), "customer")
        reply = customer_to_proto(party)
        if party.tax_id is not None:
            reply.tax_id = self._keys.open(party.tax_id, customer_id)
        return reply

    def ListCustomers(
        self, request: pb.ListCustomersRequest, context: grpc.ServicerContext
    ) -> pb.ListCustomersResponse:
        partner_id = ids.decode("par", request.partner_id, "partner_id") if request.partner_id else None
        page = Page.of(request, "customers", calls.caller().subject, request.partner_id)
        shown, token = self._page(page, Filter(partner_id=partner_id))
        return pb.ListCustomersResponse(customers=map(customer_to_proto, shown), next_page_token=token)

    def SearchCustomers(
        self, request: pb.SearchCustomersRequest, context: grpc.ServicerContext
    ) -> pb.SearchCustomersResponse:
        digest = self._keys.digest(normalised(request.tax_id, "tax_id")) if request.tax_id else b""
        criteria = Filter(request.name, request.email, request.phone, digest)
        bound_to = (request.name, request.email, request.phone, digest.hex())
        page = Page.of(request, "search", calls.caller().subject, *bound_to)
        shown, token = self._page(page, criteria)
        return pb.SearchCustomersResponse(customers=map(customer_to_proto, shown), next_page_token=token)

    def UpdateCustomer(self, request: pb.UpdateCustomerRequest, context: grpc.ServicerContext) -> pb.Customer:
        customer_id, now = ids.decode("cus", request.customer.customer_id, "customer.customer_id"), clock.now()
        fields = customer.fields_of_mask(request.update_mask.paths)
        tax_id = self._sealed(request.customer, customer_id)
        new = customer_from_proto(request.customer, customer_id, tax_id, None, now)
        with self._database.transaction() as session:
            idempotency.claim(session)
            before = calls.owned(customers.lock(session, customer_id), "customer")
            calls.current().check_etag(before.etag)
            after = customer.update(before, new, fields, now)
            changing.save(session, "customer_updated", before, after)
            reply = customer_to_proto(after)
            idempotency.keep(session, reply)
        return reply

    def LinkUser(self, request: pb.LinkUserRequest, context: grpc.ServicerContext) -> pb.LinkUserResponse:
        customer_id = ids.decode("cus", request.customer_id, "customer_id")
        user_id = ids.decode("usr", request.user_id, "user_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            party = calls.owned(customers.find(session, customer_id), "customer")
            linking.link(session, party, user_id, clock.now())
            reply = pb.LinkUserResponse(customer=customer_to_proto(party), refresh_needed=True)
            idempotency.keep(session, reply)
        return reply

    def AssignPartner(self, request: pb.AssignPartnerRequest, context: grpc.ServicerContext) -> pb.Customer:
        customer_id, now = ids.decode("cus", request.customer_id, "customer_id"), clock.now()
        partner_id = ids.decode("par", request.partner_id, "partner_id") if request.partner_id else None
        day = values.optional(request, "start_date")
        since = values.date_from_proto(day, "start_date") if day else now.date()
        with self._database.transaction() as session:
            idempotency.claim(session)
            before = calls.owned(customers.lock(session, customer_id), "customer")
            after = customer.assign_partner(before, partner_id, since, now)
            try:
                changing.save(session, "partner_assigned", before, after)
                telling.of_partner(session, before, after)
            except sa.exc.IntegrityError as error:
                if violates(error, "customers_partner_id_fkey") or violates(error, "customers_next_partner_id_fkey"):
                    raise ResourceNotFound(resource="partner") from error
                raise
            reply = customer_to_proto(after)
            idempotency.keep(session, reply)
        return reply

    def _sealed(self, message: pb.Customer, customer_id: UUID) -> TaxId | None:
        """The tax id that a request says of a customer, sealed. `FieldInvalid` when it is none."""
        if not message.tax_id:
            return None
        return self._keys.seal(normalised(message.tax_id, "customer.tax_id"), customer_id)

    def _page(self, page: Page, criteria: Filter) -> tuple[Sequence[Customer], str]:
        """The customers of a page whom the caller is shown, and the token of the next one."""
        with self._database.reading() as session:
            rows = customers.list_of(session, calls.scope(), criteria, page.after_as(UUID), page.fetch)
        return page.cut(rows, key=lambda item: item.id)


def _partner_of(caller: Caller) -> UUID | None:
    """The partner by which a customer comes whom the caller makes. `AccessDenied` for an agent of none."""
    if "agent" in caller.roles and caller.partner is None:
        raise AccessDenied
    return caller.partner
