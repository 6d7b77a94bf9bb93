"""What the access token of a log-in says of its user."""

from __future__ import annotations

from libs.db import Database
from libs.identity.callers import Caller
from services.users.accounts.rules.session import RefreshTokenInvalid, UserSession
from services.users.accounts.store import users


class Rights:
    """Reads what users may do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_session: UserSession) -> Caller:
        """The caller that the user of a log-in becomes. `UserDisabled` when they cannot be one.

        The log-in has to be committed: then it is among those that are ended by whoever takes a right away after this
        read, and by everybody before, the right is gone already.
        """
        with self._database.reading(fresh=True) as session:
            account = users.find(session, user_session.user_id)
        if account is None:
            raise RefreshTokenInvalid
        account.check_active()
        return Caller(
            user_id=account.id, roles=frozenset(role.value for role in account.roles), session=user_session.id
        )
