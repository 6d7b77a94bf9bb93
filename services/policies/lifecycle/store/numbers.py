"""The numbers of policies, in the database."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from services.policies.lifecycle.store.rows import NumberRow

_numbers = NumberRow.__table__
_INSERT = insert(_numbers).values(last=1)
_ADD = _INSERT.on_conflict_do_update(
    index_elements=["product_code", "year"], set_={"last": _numbers.c.last + 1}
).returning(_numbers.c.last)


def add(session: Session, prefix: str, year: int) -> int:
    """Take the next number of a prefix and a year.

    The row stays locked until the transaction ends, so that none is skipped.
    """
    number: int = session.execute(_ADD, {"product_code": prefix, "year": year}).scalar_one()
    return number
