"""The beneficiaries of policies in the database; append-only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.policies.lifecycle.rules.beneficiary import Beneficiaries, Beneficiary
from services.policies.lifecycle.store.rows import BeneficiaryRow, BeneficiarySetRow

_sets = BeneficiarySetRow.__table__
_members = BeneficiaryRow.__table__
_ADD_SET = sa.insert(_sets)
_ADD = sa.insert(_members)


def list_sets(session: Session, policy_id: UUID, limit: int) -> Sequence[Beneficiaries]:
    """What holds, and what held before, newest first."""
    newest = sa.select(_sets).where(_sets.c.policy_id == policy_id).order_by(_sets.c.version.desc()).limit(limit)
    sets = newest.subquery()
    query = (
        sa.select(
            sets.c.version, sets.c.set_at, sets.c.actor, _members.c.name, _members.c.relationship, _members.c.share
        )
        .outerjoin(_members, (_members.c.policy_id == sets.c.policy_id) & (_members.c.version == sets.c.version))
        .order_by(sets.c.version.desc(), _members.c.number)
    )
    rows = session.execute(query)
    return [beneficiaries_from_rows(list(group)) for _, group in groupby(rows, key=lambda row: row.version)]


def find(session: Session, policy_id: UUID) -> Beneficiaries:
    """What holds now."""
    newest = list_sets(session, policy_id, 1)
    return newest[0] if newest else Beneficiaries()


def add(session: Session, policy_id: UUID, named: Beneficiaries) -> None:
    """Save what holds from now on. The database refuses shares that do not make 100 %, when it is committed."""
    key = {"policy_id": policy_id, "version": named.version}
    session.execute(_ADD_SET, {**key, "set_at": named.set_at, "actor": named.actor})
    if named.members:
        session.execute(
            _ADD,
            [
                {
                    **key,
                    "number": number,
                    "name": member.name,
                    "relationship": member.relationship,
                    "share": member.share,
                }
                for number, member in enumerate(named.members, 1)
            ],
        )


def beneficiaries_from_rows(rows: Sequence[Any]) -> Beneficiaries:
    """What was set at one time, of its rows; one without a name where nobody was named."""
    first = rows[0]
    members = tuple(Beneficiary(row.name, row.relationship, row.share) for row in rows if row.name is not None)
    return Beneficiaries(members, first.version, first.set_at, first.actor)
