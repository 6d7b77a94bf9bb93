"""Partners as the contracts carry them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from bazaruto.users.v1 import partner_pb2 as pb
from libs import ids
from libs.rpc import values
from services.users.partners.rules.partner import Kind, Partner, State

_KINDS = {
    Kind.BROKER: pb.Partner.KIND_BROKER,
    Kind.AGENCY: pb.Partner.KIND_AGENCY,
    Kind.COMPARISON_SITE: pb.Partner.KIND_COMPARISON_SITE,
}
_KINDS_BY_PROTO = {proto: kind for kind, proto in _KINDS.items()}
_STATES = {State.ACTIVE: pb.Partner.STATE_ACTIVE, State.SUSPENDED: pb.Partner.STATE_SUSPENDED}


def partner_to_proto(partner: Partner) -> pb.Partner:
    """The partner as callers see it."""
    return pb.Partner(
        partner_id=ids.encode("par", partner.id),
        kind=_KINDS[partner.kind],
        name=partner.name,
        email=partner.email,
        phone=partner.phone,
        state=_STATES[partner.state],
        product_codes=sorted(partner.product_codes),
        create_time=values.time_to_proto(partner.created_at),
        update_time=values.time_to_proto(partner.updated_at),
        etag=partner.etag,
    )


def partner_from_proto(message: pb.Partner, partner_id: UUID, now: datetime) -> Partner:
    """What a caller says of a partner; whether it can be so is for the rules to say."""
    return Partner(
        id=partner_id,
        kind=_KINDS_BY_PROTO.get(message.kind, Kind.BROKER),
        name=message.name,
        email=message.email,
        phone=message.phone,
        state=State.ACTIVE,
        product_codes=frozenset(),
        created_at=now,
        updated_at=now,
    )
