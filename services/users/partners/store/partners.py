"""Partners in the database, with what they may sell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db.scoping import scoped
from libs.identity.scopes import Scope
from services.users.partners.rules.partner import Kind, Partner, State
from services.users.partners.store.rows import MemberRow, PartnerRow, ProductRow

_partners = PartnerRow.__table__
_products = ProductRow.__table__
_members = MemberRow.__table__

_CODES = (
    sa.select(sa.func.coalesce(sa.func.array_agg(_products.c.product_code), sa.text("'{}'")))
    .where(_products.c.partner_id == _partners.c.id)
    .scalar_subquery()
    .label("product_codes")
)
_PARTNER = sa.select(*_partners.c, _CODES)
_BY_ID = _PARTNER.where(_partners.c.id == sa.bindparam("id"))
_LOCKED = _BY_ID.with_for_update(of=_partners)
_OF_MEMBER = _PARTNER.join(_members, _members.c.partner_id == _partners.c.id).where(
    _members.c.user_id == sa.bindparam("user")
)
_ADD = sa.insert(_partners)
_SAVE = sa.update(_partners).where(_partners.c.id == sa.bindparam("key"))
_ADD_PRODUCT = sa.insert(_products)
_DELETE_PRODUCTS = sa.delete(_products).where(_products.c.partner_id == sa.bindparam("partner"))


def find(session: Session, partner_id: UUID) -> Partner | None:
    """The partner as it is."""
    row = session.execute(_BY_ID, {"id": partner_id}).one_or_none()
    return partner_from_row(row) if row else None


def find_of_member(session: Session, user_id: UUID) -> Partner | None:
    """The partner that a user is a member of."""
    row = session.execute(_OF_MEMBER, {"user": user_id}).one_or_none()
    return partner_from_row(row) if row else None


def lock(session: Session, partner_id: UUID) -> Partner | None:
    """The partner as it is, kept from other changes until the transaction ends."""
    # Locked first and read after: what is read beside a locked row is of before the wait for the lock.
    session.execute(_LOCKED, {"id": partner_id})
    return find(session, partner_id)


def list_of(session: Session, scope: Scope, after: UUID | None, limit: int) -> Sequence[Partner]:
    """The partners of a scope, newest first, behind the one whose id is `after`. No party owns one."""
    query = scoped(_PARTNER, scope, owner=_partners.c.id, partner=_partners.c.id)
    query = query.order_by(_partners.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(_partners.c.id < after)
    return [partner_from_row(row) for row in session.execute(query)]


def add(session: Session, partner: Partner) -> None:
    """Save a new partner."""
    session.execute(_ADD, row_from_partner(partner))
    _add_products(session, partner)


def save(session: Session, partner: Partner) -> None:
    """Save a changed partner, which has to be locked."""
    session.execute(_SAVE, {"key": partner.id, **row_from_partner(partner)})
    session.execute(_DELETE_PRODUCTS, {"partner": partner.id})
    _add_products(session, partner)


def row_from_partner(partner: Partner) -> dict[str, Any]:
    """The row of a partner."""
    row = {column.name: getattr(partner, column.name) for column in _partners.c}
    return row | {"kind": partner.kind.value, "state": partner.state.value}


def partner_from_row(row: Any) -> Partner:
    """The partner of a row that has its products too."""
    columns = {column.name: getattr(row, column.name) for column in _partners.c}
    converted = {"kind": Kind(row.kind), "state": State(row.state), "product_codes": frozenset(row.product_codes)}
    return Partner(**columns | converted)


def _add_products(session: Session, partner: Partner) -> None:
    rows = [{"partner_id": partner.id, "product_code": code} for code in sorted(partner.product_codes)]
    if rows:
        session.execute(_ADD_PRODUCT, rows)
