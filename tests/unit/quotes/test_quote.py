"""The states of a quote: every transition that there is, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import DomainError
from services.quotes.quoting.rules import quote
from services.quotes.quoting.rules.quote import (
    PolicyAlreadyIssued,
    Quote,
    QuoteAlreadyAccepted,
    QuoteExpired,
    QuoteReferred,
    QuoteStateInvalid,
    RiskDeclined,
    State,
)
from services.quotes.rating.rules.pricing import Risk
from tests.unit.quotes.samples import ANSWERS, NOW, calculator, make_quote

POLICY, OTHER_POLICY = UUID(int=7), UUID(int=8)
LAST = make_quote().valid_until  # the last moment of validity
TOO_LATE = LAST + timedelta(microseconds=1)


def in_state(state: State) -> Quote:
    """A quote that came to a state by the commands there are."""
    if state is State.REFERRED:
        return make_quote(claims_5_years=3)
    if state is State.DECLINED:
        return make_quote(driver_age=17)
    if state is State.ACCEPTED:
        return quote.accept(make_quote(), NOW)
    if state is State.BOUND:
        return quote.bind(in_state(State.ACCEPTED), POLICY, None, NOW)
    return make_quote()


def test_created_quote_has_the_state_that_underwriting_gave_it() -> None:
    assert in_state(State.QUOTED).state(NOW) is State.QUOTED
    assert [reason.rule_code for reason in in_state(State.REFERRED).reasons] == ["frequent_claims"]
    assert in_state(State.REFERRED).state(NOW) is State.REFERRED
    assert in_state(State.DECLINED).state(NOW) is State.DECLINED


def test_created_quote_keeps_what_it_was_pricedreplace() -> None:
    made = make_quote()
    assert (made.product_code, made.product_version, made.time_zone) == ("motor", 1, "Europe/Lisbon")
    assert made.plans == {"annual": 1, "quarterly": 4, "monthly": 12}
    assert made.answers == ANSWERS["motor"]


@pytest.mark.parametrize(
    ("days_ahead", "valid_until"),
    [
        # Lisbon is on UTC in winter. With cover from today, it is good for today only.
        (0, datetime(2026, 11, 24, 23, 59, 59, 999999, tzinfo=UTC)),
        (5, datetime(2026, 11, 29, 23, 59, 59, 999999, tzinfo=UTC)),
        (29, datetime(2026, 12, 23, 23, 59, 59, 999999, tzinfo=UTC)),
        (30, NOW + timedelta(days=30)),
        (60, NOW + timedelta(days=30)),
    ],
)
def test_quote_is_good_for_its_days_and_never_behind_the_first_day_of_cover(
    days_ahead: int, valid_until: datetime
) -> None:
    start = NOW.date() + timedelta(days=days_ahead)
    made = calculator("motor").calculate(Risk(ANSWERS["motor"], (), start), NOW)
    new_quote = quote.create(made, NOW, quote_id=UUID(int=1), user_id=UUID(int=2), number="Q")
    assert new_quote.valid_until == valid_until


def test_accepted_quote_says_when() -> None:
    accepted = quote.accept(make_quote(), LAST)
    assert (accepted.state(LAST), accepted.accepted_at, accepted.version) == (State.ACCEPTED, LAST, 2)


@pytest.mark.parametrize(
    ("state", "now", "error", "metadata"),
    [
        (State.QUOTED, TOO_LATE, QuoteExpired, {"valid_until_time": LAST.isoformat()}),
        (State.REFERRED, NOW, QuoteReferred, {}),
        (State.REFERRED, TOO_LATE, QuoteExpired, {"valid_until_time": LAST.isoformat()}),
        (State.DECLINED, NOW, RiskDeclined, {"rule": "driver_too_young"}),
        (State.DECLINED, TOO_LATE, RiskDeclined, {"rule": "driver_too_young"}),
        (State.ACCEPTED, NOW, QuoteAlreadyAccepted, {}),
        (State.ACCEPTED, TOO_LATE, QuoteExpired, {"valid_until_time": LAST.isoformat()}),
        (State.BOUND, NOW, QuoteStateInvalid, {"state": "bound"}),
        (State.BOUND, TOO_LATE, QuoteStateInvalid, {"state": "bound"}),
    ],
)
def test_quote_that_cannot_be_accepted(
    state: State, now: datetime, error: type[DomainError], metadata: dict[str, str]
) -> None:
    with pytest.raises(error) as caught:
        quote.accept(in_state(state), now)
    assert caught.value.metadata == metadata


def test_bound_quote_names_its_policy() -> None:
    bound = quote.bind(in_state(State.ACCEPTED), POLICY, None, LAST)
    assert (bound.state(TOO_LATE), bound.policy_id) == (State.BOUND, POLICY)


def test_binding_the_same_policy_again_changes_nothing() -> None:
    bound = in_state(State.BOUND)
    assert quote.bind(bound, POLICY, None, TOO_LATE) is bound


def test_binding_another_policy_is_refused() -> None:
    with pytest.raises(PolicyAlreadyIssued):
        quote.bind(in_state(State.BOUND), OTHER_POLICY, None, NOW)


def test_word_of_a_policy_may_come_after_the_quote_was_marked_as_expired() -> None:
    swept = replace(in_state(State.ACCEPTED), recorded_state=State.EXPIRED)
    assert quote.bind(swept, POLICY, None, LAST).state(TOO_LATE) is State.BOUND


@pytest.mark.parametrize(
    ("unbindable_quote", "issued_at", "state"),
    [
        (in_state(State.QUOTED), NOW, "quoted"),
        (in_state(State.QUOTED), TOO_LATE, "expired"),
        (in_state(State.REFERRED), NOW, "referred"),
        (in_state(State.DECLINED), NOW, "declined"),
        (in_state(State.ACCEPTED), TOO_LATE, "expired"),
    ],
)
def test_quote_that_cannot_be_bound(unbindable_quote: Quote, issued_at: datetime, state: str) -> None:
    with pytest.raises(QuoteStateInvalid) as caught:
        quote.bind(unbindable_quote, POLICY, None, issued_at)
    assert caught.value.metadata == {"state": state}


def test_quote_that_expired_before_it_was_accepted_cannot_be_bound() -> None:
    with pytest.raises(QuoteStateInvalid):
        quote.bind(replace(make_quote(), recorded_state=State.EXPIRED), POLICY, None, NOW)


def test_validity_includes_its_last_moment() -> None:
    assert make_quote().state(LAST) is State.QUOTED
    assert make_quote().state(TOO_LATE) is State.EXPIRED


# What may follow a state, at once or after other commands.
NEXT = {
    State.QUOTED: {State.ACCEPTED, State.BOUND, State.EXPIRED},
    State.REFERRED: {State.EXPIRED},
    State.DECLINED: set(),
    State.ACCEPTED: {State.BOUND, State.EXPIRED},
    State.BOUND: set(),
    State.EXPIRED: {State.BOUND},  # by a policy that was issued in time
}
COMMANDS: list[Callable[[Quote, datetime], Quote]] = [
    quote.accept,
    lambda current_quote, now: quote.bind(current_quote, POLICY, None, now),
    lambda current_quote, now: quote.bind(current_quote, OTHER_POLICY, None, now),
    # The sweep writes down what the clock says.
    lambda current_quote, now: replace(current_quote, recorded_state=current_quote.state(now)),
]


@given(
    st.sampled_from([State.QUOTED, State.REFERRED, State.DECLINED]),
    st.lists(st.tuples(st.sampled_from(COMMANDS), st.sampled_from([NOW, LAST, TOO_LATE]))),
)
def test_there_are_no_other_transitions(
    begin: State, commands: list[tuple[Callable[[Quote, datetime], Quote], datetime]]
) -> None:
    current_quote = in_state(begin)
    for command, now in commands:
        before = current_quote
        try:
            current_quote = command(before, now)
        except DomainError:
            continue
        assert current_quote.recorded_state in {before.recorded_state} | NEXT[before.recorded_state]
        assert (current_quote.recorded_state is State.BOUND) == (current_quote.policy_id is not None)
        changed = {f.name for f in fields(Quote) if getattr(current_quote, f.name) != getattr(before, f.name)}
        assert changed <= {"recorded_state", "accepted_at", "policy_id", "version"}


def test_numbers_for_people() -> None:
    assert quote.number_for(2026, 42) == "Q-2026-000042"
