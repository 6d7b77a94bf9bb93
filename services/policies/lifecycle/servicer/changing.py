"""What the calls about a policy share: what they need, and finding what the caller may see."""

from __future__ import annotations

from uuid import UUID

from libs.db import Database
from libs.rpc import calls
from services.policies.clients import Payments, Quotes, Users
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import policies


class Changing:
    """The ground of the calls of `PolicyService`."""

    def __init__(self, database: Database, quotes: Quotes, users: Users, payments: Payments) -> None:
        self._database = database
        self._quotes = quotes
        self._users = users
        self._payments = payments

    def _visible(self, policy_id: UUID) -> Policy:
        return calls.visible(policies.find_committed(self._database, policy_id), "policy")
