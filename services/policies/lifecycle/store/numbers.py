"""The numbers of policies, in the database."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

_NEXT = sa.select(sa.func.nextval(sa.literal_column("'policy_number'")))


def add(session: Session) -> int:
    """Take the next number. Nobody waits for anybody; a number whose transaction is undone is never given again."""
    number: int = session.execute(_NEXT).scalar_one()
    return number
