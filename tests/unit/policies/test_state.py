"""How a policy stands at a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.policies.lifecycle.rules.state import State, state_at
from services.policies.lifecycle.rules.term import Ended, EndKind, Segment, Term
from tests.unit.policies.stacks import risk

ZONE = "Africa/Maputo"  # two hours ahead of UTC
FIRST, LAST, NEXT = date(2026, 12, 1), date(2027, 12, 1), date(2028, 12, 1)
PAID = datetime(2026, 12, 1, 8, tzinfo=UTC)


def a_term(number: int = 1, first: date = FIRST, last: date = LAST, paid: datetime | None = PAID) -> Term:
    return Term(number, first, last, "EUR", 1, (Segment(first, last, risk(), {}),), paid)


UNPAID = a_term(paid=None)
GAP = replace(a_term(), segments=(a_term().segments[0], *a_term(1, date(2028, 1, 1), NEXT).segments))


@pytest.mark.parametrize(
    ("terms", "moment", "state"),
    [
        # The first day of cover, 1 December, ends in Maputo two hours before it does in UTC.
        ([UNPAID], datetime(2026, 12, 1, 21, 59, 59, tzinfo=UTC), State.PENDING),
        ([UNPAID], datetime(2026, 12, 1, 22, 0, tzinfo=UTC), State.NOT_TAKEN),
        # Paid ahead, and on the first day: cover begins with the payment, not with the day.
        (
            [a_term(paid=datetime(2026, 11, 30, 22, tzinfo=UTC))],
            datetime(2026, 11, 30, 21, tzinfo=UTC),
            State.SCHEDULED,
        ),
        ([a_term()], datetime(2026, 12, 1, 7, 59, 59, tzinfo=UTC), State.SCHEDULED),
        ([a_term()], PAID, State.IN_FORCE),
        # The term ends as 1 December 2027 begins in Maputo.
        ([a_term()], datetime(2027, 11, 30, 21, 59, 59, tzinfo=UTC), State.IN_FORCE),
        ([a_term()], datetime(2027, 11, 30, 22, 0, tzinfo=UTC), State.EXPIRED),
        # A renewal that is not paid does not count yet; one that is paid late leaves a gap.
        ([a_term(), a_term(2, LAST, NEXT, None)], datetime(2027, 12, 5, tzinfo=UTC), State.EXPIRED),
        ([a_term(), a_term(2, LAST, NEXT)], datetime(2027, 12, 5, tzinfo=UTC), State.IN_FORCE),
        (
            [a_term(), a_term(2, LAST, NEXT, datetime(2027, 12, 9, tzinfo=UTC))],
            datetime(2027, 12, 5, tzinfo=UTC),
            State.GAP,
        ),
        ([GAP], datetime(2027, 12, 5, tzinfo=UTC), State.GAP),
        ([GAP], datetime(2028, 2, 1, tzinfo=UTC), State.IN_FORCE),
    ],
)
def test_state_follows_from_timeline_payment_and_clock(terms: list[Term], moment: datetime, state: State) -> None:
    assert state_at(moment, terms, ZONE, FIRST) is state


@pytest.mark.parametrize("state", [State.CANCELLED, State.LAPSED])
def test_ending_counts_from_its_first_moment(state: State) -> None:
    ended = Ended(EndKind(state.value), date(2027, 3, 1))
    cut = replace(a_term(), segments=(replace(a_term().segments[0], ends_on=ended.on),), ended=ended)

    def at(moment: datetime) -> State:
        return state_at(moment, [cut], ZONE, FIRST)

    assert at(datetime(2027, 2, 28, 21, 59, 59, tzinfo=UTC)) is State.IN_FORCE
    assert at(datetime(2027, 2, 28, 22, tzinfo=UTC)) is state
    assert at(datetime(2028, 6, 1, tzinfo=UTC)) is state


def test_policy_that_is_closed_as_not_taken_stays_so() -> None:
    void = replace(UNPAID, segments=(), ended=Ended(EndKind.NOT_TAKEN, FIRST))
    assert state_at(PAID, [void], ZONE, FIRST) is State.NOT_TAKEN
