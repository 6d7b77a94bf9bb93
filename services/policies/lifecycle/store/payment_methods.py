"""The tokens with which first premiums are to be collected; each is forgotten once payments has it."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from services.policies.lifecycle.store.rows import PaymentMethodRow

_methods = PaymentMethodRow.__table__
_ADD = sa.insert(_methods)


def find(session: Session, policy_id: UUID) -> str:
    """The token for a first premium; empty where the policyholder pays it, and once it is forgotten."""
    return session.scalar(sa.select(_methods.c.token).where(_methods.c.policy_id == policy_id)) or ""


def add(session: Session, policy_id: UUID, token: str) -> None:
    """Remember with what a first premium is to be collected."""
    session.execute(_ADD, {"policy_id": policy_id, "token": token})


def delete(session: Session, policy_id: UUID) -> None:
    """Forget the token for a first premium."""
    session.execute(sa.delete(_methods).where(_methods.c.policy_id == policy_id))
