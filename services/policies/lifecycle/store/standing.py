"""Which policies may be in a state or have a flag, as far as a query can tell: the rules derive both.

Each condition holds of every policy that is in the state, and of few others, so that a list need not look through the
rest. A policy of before passes until its timeline is written.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from services.policies.lifecycle.rules.delinquency import OVER
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.store.rows import DelinquencyRow, PolicyRow, TimelineRow

_DAY = timedelta(days=1)
"""How far the days of all time zones are apart."""
_ENDS = {State.CANCELLED: EndKind.CANCELLED, State.LAPSED: EndKind.LAPSED}

IS_DELINQUENT = sa.exists().where(
    DelinquencyRow.policy_id == PolicyRow.id,
    *(DelinquencyRow.state != sa.literal_column(f"'{over}'") for over in sorted(OVER)),
)


def find_condition(now: datetime, state: State | None, flag: Flag | None) -> sa.ColumnElement[bool]:
    """The condition that every policy meets which is in a state and has a flag at a moment; None is any."""
    conditions = [
        *([_may_be(state, now)] if state else []),
        *([_may_have(flag, now)] if flag else []),
    ]
    return sa.and_(sa.true(), *conditions)


def _may_be(state: State, now: datetime) -> sa.ColumnElement[bool]:
    today = now.date()
    if state in _ENDS:
        return _written(TimelineRow.ended_as == _ENDS[state])
    if state in (State.PENDING, State.NOT_TAKEN):
        return PolicyRow.activated_at.is_(None)
    was_paid = PolicyRow.activated_at.is_not(None)
    if state is State.IN_FORCE:
        return was_paid & _written(TimelineRow.starts_on <= today + _DAY, TimelineRow.ends_on >= today - _DAY)
    if state is State.EXPIRED:  # also within a term, when it was ended for a day that was not covered any more
        return was_paid & _written((TimelineRow.ends_on <= today + _DAY) | TimelineRow.ended_as.is_not(None))
    if state is State.GAP:  # between two terms, or within one that was ended and reinstated
        return was_paid & _written((TimelineRow.term_number > 1) | TimelineRow.ended_as.is_not(None))
    return was_paid


def _may_have(flag: Flag, now: datetime) -> sa.ColumnElement[bool]:
    yesterday = now.date() - _DAY
    match flag:
        case Flag.DELINQUENT:
            return IS_DELINQUENT
        case Flag.DO_NOT_RENEW:
            return PolicyRow.is_not_renewed.is_(True)
        case Flag.RENEWAL_OFFERED:
            return PolicyRow.offered_term.is_not(None)
        case Flag.RENEWED:
            return _written(TimelineRow.term_number > 1, TimelineRow.starts_on >= yesterday)
        case Flag.CANCEL_PENDING:
            return _written(TimelineRow.ended_as == EndKind.CANCELLED, TimelineRow.ended_on >= yesterday)
        case _:
            return sa.true()


def _written(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether some version of a term was like this, of a policy whose timeline is written."""
    return sa.exists().where(TimelineRow.policy_id == PolicyRow.id, *conditions) | ~PolicyRow.has_timeline
