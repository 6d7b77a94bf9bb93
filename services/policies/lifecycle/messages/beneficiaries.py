"""Beneficiaries as the contract carries them."""

from __future__ import annotations

from collections.abc import Iterable

from bazaruto.policies.v1 import beneficiary_pb2
from libs.rpc import values
from services.policies.lifecycle.rules.beneficiary import Beneficiaries, Beneficiary


def beneficiaries_from_proto(messages: Iterable[beneficiary_pb2.Beneficiary]) -> tuple[Beneficiary, ...]:
    """Those who are to be paid."""
    return tuple(Beneficiary(item.name, item.relationship, item.share_basis_points) for item in messages)


def beneficiaries_to_proto(named: Beneficiaries) -> beneficiary_pb2.Beneficiaries:
    """Those who are paid, as they were set at one time."""
    return beneficiary_pb2.Beneficiaries(
        beneficiaries=[
            beneficiary_pb2.Beneficiary(
                name=member.name, relationship=member.relationship, share_basis_points=member.share
            )
            for member in named.members
        ],
        version=named.version,
        set_time=values.time_to_proto(named.set_at) if named.set_at else None,
        actor=named.actor,
        etag=named.etag,
    )
