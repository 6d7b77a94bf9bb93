"""What the access token of a log-in says of its user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs.db import Database
from libs.identity.authority import NO_AUTHORITY
from libs.identity.authority import Authority as TokenAuthority
from libs.identity.callers import Caller
from services.users.accounts.rules.authority import Authority
from services.users.accounts.rules.session import RefreshTokenInvalid, UserSession
from services.users.accounts.rules.user import Role
from services.users.accounts.store import authorities, users

Parties = Callable[[Session, UUID], frozenset[UUID]]
"""The parties for whom a user acts, beside the own one: known to a module above."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The partner that a user is a member of."""

    partner_id: UUID
    sells: frozenset[str]
    """Codes of the products that it starts new business with."""


MembershipOf = Callable[[Session, UUID], Membership | None]
"""The partner that a user is a member of, if any: known to a module above."""


class Rights:
    """Reads what users may do."""

    def __init__(self, database: Database, parties: Parties, membership: MembershipOf) -> None:
        self._database = database
        self._parties = parties
        self._membership = membership

    def of(self, user_session: UserSession, now: datetime) -> tuple[Caller, datetime | None]:
        """The caller that the user of a log-in becomes, and until when that is so if it has an end.

        `UserDisabled` when they cannot be one.

        The log-in has to be committed: then it is among those that are ended by whoever takes a right away after this
        read (`ending.end_all`), and whoever did it before has committed it.
        """
        with self._database.reading(fresh=True) as session:
            account = users.find(session, user_session.user_id)
            limits = authorities.find(session, user_session.user_id)
            parties = self._parties(session, user_session.user_id)
            membership = self._membership(session, user_session.user_id)
        if account is None:
            raise RefreshTokenInvalid
        account.check_active()
        if Role.AGENT not in account.roles:
            membership = None
        counts = limits.counts(now)
        caller = Caller(
            user_id=account.id,
            roles=frozenset(role.value for role in account.roles),
            parties=parties,
            partner=membership.partner_id if membership else None,
            sells=membership.sells if membership else frozenset(),
            authority=_for_token(limits) if counts else NO_AUTHORITY,
            session=user_session.id,
        )
        return caller, limits.valid_until if counts else None


def _for_token(limits: Authority) -> TokenAuthority:
    """The authority as a token carries it."""
    return TokenAuthority(limits.underwriting_level, limits.claim_limit, limits.refund_limit, limits.write_off_limit)
