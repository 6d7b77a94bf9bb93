"""The steps that a delinquency takes within one transaction, which are saved together."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.db import when_committed
from libs.jobs import defer
from services.payments.billing import measures
from services.payments.billing.kinds import LAPSE_POLICY, TELL_DELINQUENCY, LapsePolicy, TellDelinquency
from services.payments.billing.rules.delinquency import Delinquency, State
from services.payments.billing.rules.dunning import Done
from services.payments.billing.store import delinquencies


class Course:
    """A delinquency, step by step.

    The audit log keeps each step. Written, and told to policies, is the last one: they would not listen to one before.
    """

    def __init__(self, before: Delinquency | None) -> None:
        self.current = before
        """As it stands after the steps so far; None before it is opened."""
        self._before = before
        self._entries: list[audit.Entry] = []
        self._done: list[Done] = []
        self._entered: list[State] = []

    def take(self, after: Delinquency) -> Delinquency:
        """Take a step. It is none where the version is that of before."""
        before, self.current = self.current, after
        if before is None or after.version != before.version:
            self._entries.append(_entry(before, after))
            if before is None or before.state is not after.state:
                self._entered.append(after.state)
        return after

    def note(self, entry: audit.Entry) -> None:
        """Have the audit log keep something else, in the order in which it happened."""
        self._entries.append(entry)

    def do(self, step: Done) -> None:
        """Have it saved that a step of dunning was done."""
        self._done.append(step)

    def save(self, session: Session) -> None:
        """Save all of it, and have policies told."""
        audit.record_all(session, self._entries)
        before, after = self._before, self.current
        if after is None or after is before:
            return
        if before is None:
            delinquencies.add(session, after)
        else:
            delinquencies.save(session, after)
        delinquencies.add_steps(session, after.id, self._done)
        if before is None or after.version != before.version:
            lock = _lock_of(after.account_id)
            defer(session, TELL_DELINQUENCY, TellDelinquency(after.id, after.version), lock=lock)
            if State.LAPSING in self._entered:
                defer(session, LAPSE_POLICY, LapsePolicy(after.id), lock=lock)
            when_committed(session, self._count)

    def _count(self) -> None:
        for state in self._entered:
            measures.count_delinquency(state)


def _entry(before: Delinquency | None, after: Delinquency) -> audit.Entry:
    return audit.Entry(
        "delinquency_changed" if before else "delinquency_opened",
        ids.encode("dlq", after.id),
        {"policy_id": ids.encode("pol", after.account_id)},
        _audited(before) if before else None,
        _audited(after),
    )


def _lock_of(account_id: UUID) -> str:
    """What keeps the messages about a policy in their order."""
    return f"delinquency:{account_id}"


def _audited(current: Delinquency) -> dict[str, object]:
    """What the audit log keeps of a delinquency."""
    return {
        "state": current.state,
        "version": current.version,
        "past_due": current.amount,
        "since": current.due_on,
        "grace_ends_on": current.grace_ends_on,
        "suspended_until": current.suspension.until if current.suspension else None,
        "ending": current.ending,
    }
