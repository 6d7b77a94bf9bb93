"""Customers as the contracts carry them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bazaruto.users.v1 import customer_pb2 as pb
from libs import ids
from libs.rpc import values
from services.users.people.rules.customer import Address, Customer, Kind
from services.users.people.rules.tax_id import TaxId

_KINDS = {Kind.PERSON: pb.Customer.KIND_PERSON, Kind.ORGANISATION: pb.Customer.KIND_ORGANISATION}
_KINDS_BY_PROTO = {proto: kind for kind, proto in _KINDS.items()}


def customer_to_proto(customer: Customer) -> pb.Customer:
    """The customer as callers see them."""
    return pb.Customer(
        customer_id=ids.encode("cus", customer.id),
        kind=_KINDS[customer.kind],
        name=customer.name,
        birth_date=values.date_to_proto(customer.birth_date) if customer.birth_date else None,
        emails=customer.emails,
        phones=customer.phones,
        address=address_to_proto(customer.address) if customer.address else None,
        locale=customer.locale,
        tax_id_ending=customer.tax_id.ending if customer.tax_id else "",
        partner_id=ids.encode("par", customer.partner_id) if customer.partner_id else "",
        partner_start_date=values.date_to_proto(customer.partner_since) if customer.partner_since else None,
        next_partner_id=ids.encode("par", customer.next_partner_id) if customer.next_partner_id else "",
        next_partner_start_date=(
            values.date_to_proto(customer.next_partner_since) if customer.next_partner_since else None
        ),
        create_time=values.time_to_proto(customer.created_at),
        update_time=values.time_to_proto(customer.updated_at),
        etag=customer.etag,
    )


def customer_from_proto(
    message: pb.Customer, customer_id: UUID, tax_id: TaxId | None, partner_id: UUID | None, now: datetime
) -> Customer:
    """What a caller says of a customer, who came by a partner; whether it can be so is for the rules to say."""
    birth_date, address = values.optional(message, "birth_date"), values.optional(message, "address")
    return Customer(
        id=customer_id,
        kind=_KINDS_BY_PROTO.get(message.kind, Kind.PERSON),
        name=message.name,
        birth_date=values.date_from_proto(birth_date, "customer.birth_date") if birth_date else None,
        emails=tuple(message.emails),
        phones=tuple(message.phones),
        address=address_from_proto(address) if address else None,
        locale=message.locale,
        tax_id=tax_id,
        partner_id=partner_id,
        partner_since=now.date() if partner_id else None,
        created_at=now,
        updated_at=now,
    )


def address_to_proto(address: Address) -> pb.Address:
    """A postal address."""
    return pb.Address(
        lines=address.lines,
        locality=address.locality,
        region=address.region,
        postal_code=address.postal_code,
        country_code=address.country,
    )


def address_from_proto(message: pb.Address) -> Address:
    """A postal address."""
    return Address(tuple(message.lines), message.locality, message.region, message.postal_code, message.country_code)
