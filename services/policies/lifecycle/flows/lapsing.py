"""Letting a policy lapse, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from libs import ids
from libs.errors import ResourceNotFound
from services.policies.lifecycle.flows import changing
from services.policies.lifecycle.flows.changing import Decision
from services.policies.lifecycle.rules import lapse
from services.policies.lifecycle.rules.lapse import Lapse
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.transaction import TransactionType
from services.policies.lifecycle.store import delinquencies, policies, transactions


def lapse_policy(
    session: Session, policy_id: UUID, asked: Lapse, rules: Mapping[int, ProductRules], actor: str, now: datetime
) -> UUID | None:
    """Let a policy lapse for a delinquency. Gives the transaction that did it, now or before; None where nothing was
    to be done: it ended otherwise, it never took effect, or a newer version of the delinquency is known.
    """
    policy = policies.lock(session, policy_id)
    if policy is None:
        raise ResourceNotFound(resource="policy")
    source = ids.encode("dlq", asked.delinquency_id)
    if before := transactions.find_by_source(session, policy_id, TransactionType.LAPSE, source):
        return before.id
    made = changing.load(session, policy, rules)
    if not lapse.is_needed(made, asked, delinquencies.find(session, policy_id)):
        return None
    changed = lapse.lapse(made, asked, source, now, transaction_id=ids.new())
    decision = Decision(changed, "policy_lapsed", details={"delinquency_id": source, "version": asked.version})
    changing.save(session, decision, actor, now)
    return changed.transaction.id
