"""The states of a quote: every transition that there is, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import DomainError, Refused
from services.quotes.quoting.rules import acceptance, referral, revision, withdrawal
from services.quotes.quoting.rules.acceptance import QuoteAlreadyAccepted, QuoteReferred, RiskDeclined
from services.quotes.quoting.rules.quote import (
    PolicyAlreadyIssued,
    Quote,
    QuoteExpired,
    QuoteStateInvalid,
    State,
    number_for,
)
from services.quotes.quoting.rules.referral import Ruling, Terms, Verdict
from services.quotes.quoting.rules.revision import QuoteIncomplete
from services.quotes.rating.rules.pricing import Risk, StartDateInvalid
from tests.unit.quotes.samples import ANSWERS, NOW, ORIGIN, calculate, calculator, make_draft, make_quote, tariff

POLICY, OTHER_POLICY = UUID(int=7), UUID(int=8)
BY = UUID(int=11)
LAST = make_quote().valid_until  # the last moment of validity
TOO_LATE = LAST + timedelta(microseconds=1)
EXPIRED = {"valid_until_time": LAST.isoformat(), "state": "expired"}
LATER = calculator("motor").calculate(Risk(ANSWERS["motor"], (), NOW.date() + timedelta(days=45)), NOW)


def in_state(state: State) -> Quote:
    """A quote that came to a state by the commands there are."""
    match state:
        case State.DRAFT:
            return make_draft(driver_age=30)
        case State.REFERRED:
            return make_quote(claims_5_years=3)
        case State.DECLINED:
            return make_quote(driver_age=17)
        case State.ACCEPTED:
            return acceptance.accept(make_quote(), NOW)
        case State.BOUND:
            return acceptance.bind(in_state(State.ACCEPTED), POLICY, None)
        case State.WITHDRAWN:
            return withdrawal.withdraw(make_quote(), "", NOW)
        case State.EXPIRED:
            return replace(make_quote(), recorded_state=State.EXPIRED, valid_until=NOW - timedelta(seconds=1))
        case _:
            return make_quote()


def test_created_quote_has_the_state_that_underwriting_gave_it() -> None:
    assert in_state(State.QUOTED).state(NOW) is State.QUOTED
    assert [reason.rule_code for reason in in_state(State.REFERRED).reasons] == ["frequent_claims"]
    assert in_state(State.REFERRED).state(NOW) is State.REFERRED
    assert in_state(State.DECLINED).state(NOW) is State.DECLINED


def test_created_quote_keeps_what_it_was_priced_with() -> None:
    made = make_quote()
    assert (made.product_code, made.product_version, made.time_zone) == ("motor", 1, "Europe/Lisbon")
    assert made.plans == {"annual": 1, "quarterly": 4, "monthly": 12}
    assert made.answers == ANSWERS["motor"]


@pytest.mark.parametrize("days_ahead", [0, 5, 29, 30, 60])
def test_quote_is_good_for_its_days_whatever_its_first_day_of_cover(days_ahead: int) -> None:
    start = NOW.date() + timedelta(days=days_ahead)
    made = calculator("motor").calculate(Risk(ANSWERS["motor"], (), start), NOW)
    assert revision.create(made, NOW, ORIGIN).valid_until == NOW + timedelta(days=30)


def test_only_a_referred_price_is_indicative_and_a_declined_one_is_not_shown() -> None:
    quoted, referred, declined = (in_state(state) for state in (State.QUOTED, State.REFERRED, State.DECLINED))
    assert (quoted.is_indicative, referred.is_indicative, declined.is_indicative) == (False, True, False)
    assert (quoted.offered_price, referred.offered_price) == (quoted.price, referred.price)
    assert declined.price is not None
    assert declined.offered_price is None


def test_draft_is_priced_once_its_answers_are_there() -> None:
    draft = make_draft(driver_age=41)
    assert (draft.price, draft.ends_on, draft.starts_on) == (None, None, None)
    with pytest.raises(QuoteIncomplete) as caught:
        revision.check_draft(draft, tariff("motor").product, NOW)
    assert caught.value.metadata["questions"].split(",") == [code for code in ANSWERS["motor"] if code != "driver_age"]
    whole = revision.update_draft(draft, tariff("motor"), Risk(ANSWERS["motor"]), NOW, BY)
    revision.check_draft(whole, tariff("motor").product, NOW)
    priced = revision.price(whole, calculate("motor"), NOW)
    assert (draft.revision, whole.revision, priced.revision) == (1, 2, 3)
    assert (whole.state(NOW), priced.state(NOW)) == (State.DRAFT, State.QUOTED)
    assert priced.price == make_quote().price


@pytest.mark.parametrize("state", [State.QUOTED, State.REFERRED])
@pytest.mark.parametrize(
    ("answers", "outcome"),
    [({}, State.QUOTED), ({"use": "taxi"}, State.REFERRED), ({"driver_age": 17}, State.DECLINED)],
)
def test_changed_quote_is_priced_and_decided_on_anew(state: State, answers: dict[str, object], outcome: State) -> None:
    later = NOW + timedelta(days=9)
    before = in_state(state)
    changed = revision.update(before, calculate("motor", later, **answers), later, BY)
    assert (changed.state(later), changed.revision, changed.version) == (outcome, 2, before.version + 1)
    assert changed.valid_until == later + timedelta(days=30)


def test_accepted_quote_says_when() -> None:
    moment = NOW + timedelta(hours=1)
    accepted = acceptance.accept(make_quote(), moment)
    assert (accepted.state(moment), accepted.accepted_at, accepted.version) == (State.ACCEPTED, moment, 2)


def test_quote_whose_first_day_of_cover_is_over_cannot_be_accepted() -> None:
    today = LAST.date()
    with pytest.raises(StartDateInvalid) as caught:
        acceptance.accept(make_quote(), LAST)
    assert caught.value.metadata == {"earliest": str(today), "latest": str(today + timedelta(days=60))}
    on_its_last_day = acceptance.accept(revision.create(LATER, NOW, ORIGIN), LAST)
    assert on_its_last_day.state(LAST) is State.ACCEPTED


@pytest.mark.parametrize(
    ("state", "now", "error", "metadata"),
    [
        (State.DRAFT, NOW, QuoteStateInvalid, {"state": "draft"}),
        (State.DRAFT, TOO_LATE, QuoteExpired, EXPIRED),
        (State.QUOTED, TOO_LATE, QuoteExpired, EXPIRED),
        (State.REFERRED, NOW, QuoteReferred, {"state": "referred"}),
        (State.REFERRED, TOO_LATE, QuoteExpired, EXPIRED),
        (State.DECLINED, NOW, RiskDeclined, {"rule": "driver_too_young", "state": "declined"}),
        (State.DECLINED, TOO_LATE, RiskDeclined, {"rule": "driver_too_young", "state": "declined"}),
        (State.ACCEPTED, NOW, QuoteAlreadyAccepted, {"state": "accepted"}),
        (State.ACCEPTED, TOO_LATE, QuoteExpired, EXPIRED),
        (State.BOUND, NOW, QuoteStateInvalid, {"state": "bound"}),
        (State.BOUND, TOO_LATE, QuoteStateInvalid, {"state": "bound"}),
    ],
)
def test_quote_that_cannot_be_accepted(
    state: State, now: datetime, error: type[DomainError], metadata: dict[str, str]
) -> None:
    with pytest.raises(error) as caught:
        acceptance.accept(in_state(state), now)
    assert caught.value.metadata == metadata


@pytest.mark.parametrize("state", [state for state in State if state is not State.BOUND])
def test_quote_in_any_state_is_bound_by_the_policy_that_was_issued_from_it(state: State) -> None:
    bound = acceptance.bind(in_state(state), POLICY, UUID(int=9))
    assert (bound.state(TOO_LATE), bound.policy_id, bound.transaction_id) == (State.BOUND, POLICY, UUID(int=9))
    assert acceptance.bind(bound, POLICY, UUID(int=9)) is bound


def test_binding_another_policy_or_transaction_is_refused() -> None:
    bound = acceptance.bind(in_state(State.ACCEPTED), POLICY, UUID(int=9))
    for policy, transaction in ((OTHER_POLICY, UUID(int=9)), (POLICY, UUID(int=10))):
        with pytest.raises(PolicyAlreadyIssued):
            acceptance.bind(bound, policy, transaction)


def test_validity_includes_its_last_moment() -> None:
    assert make_quote().state(LAST) is State.QUOTED
    assert make_quote().state(TOO_LATE) is State.EXPIRED


def decide(quote: Quote, ruling: Ruling) -> Quote:
    """What an underwriter of every authority makes of a quote."""
    referral.check_referred(quote, NOW)
    referral.check_ruling(quote, ruling, 9)
    if ruling.verdict is Verdict.DECLINE:
        return referral.decline(quote, ruling)
    assert quote.price is not None
    return referral.approve(quote, ruling, Terms(quote.coverages, quote.price), tariff("motor").product, NOW)


def test_question_to_the_customer_is_answered_once() -> None:
    asked = referral.ask(in_state(State.REFERRED), "Who?", NOW + timedelta(days=1), NOW)
    answered = referral.answer(asked, NOW + timedelta(days=2))  # late, and taken
    assert (asked.question, answered.question, answered.answer_due_at) == ("Who?", "", None)
    with pytest.raises(QuoteStateInvalid):
        referral.answer(answered, NOW)


# What may follow a state by each command; nothing else does.
PRICED = {State.QUOTED, State.REFERRED, State.DECLINED}
NEXT: dict[str, dict[State, set[State]]] = {
    "price": {State.DRAFT: PRICED},
    "update": {State.QUOTED: PRICED, State.REFERRED: PRICED},
    "update_draft": {State.DRAFT: {State.DRAFT}},
    "approve": {State.REFERRED: {State.QUOTED}},
    "decline": {State.REFERRED: {State.DECLINED}},
    "ask": {State.REFERRED: {State.REFERRED}},
    "accept": {State.QUOTED: {State.ACCEPTED}},
    "unaccept": {State.ACCEPTED: {State.QUOTED}},
    "withdraw": {key: {State.WITHDRAWN} for key in (State.DRAFT, State.QUOTED, State.REFERRED, State.ACCEPTED)},
    "clone": {key: {State.DRAFT} for key in (State.DECLINED, State.EXPIRED, State.WITHDRAWN)},
    "bind": {state: {State.BOUND} for state in State},
}
COMMANDS: dict[str, Callable[[Quote], Quote]] = {
    "price": lambda quote: revision.price(quote, calculate("motor"), NOW),
    "update": lambda quote: revision.update(quote, calculate("motor", use="taxi"), NOW, BY),
    "update_draft": lambda quote: revision.update_draft(quote, tariff("motor"), Risk({}), NOW, BY),
    "approve": lambda quote: decide(quote, Ruling(Verdict.APPROVE)),
    "decline": lambda quote: decide(quote, Ruling(Verdict.DECLINE, reason="No.")),
    "ask": lambda quote: referral.ask(quote, "Who?", NOW + timedelta(days=1), NOW),
    "accept": lambda quote: acceptance.accept(quote, NOW),
    "unaccept": lambda quote: acceptance.unaccept(quote, NOW),
    "withdraw": lambda quote: withdrawal.withdraw(quote, "sold", NOW),
    "clone": lambda quote: revision.clone(quote, tariff("motor"), NOW, ORIGIN),
    "bind": lambda quote: acceptance.bind(quote, POLICY, None),
}


CASES = [(state, command) for state in State for command in COMMANDS]


@pytest.mark.parametrize(("state", "command"), [case for case in CASES if case[0] in NEXT[case[1]]])
def test_command_leads_where_the_table_says(state: State, command: str) -> None:
    assert COMMANDS[command](in_state(state)).state(NOW) in NEXT[command][state]


@pytest.mark.parametrize(("state", "command"), [case for case in CASES if case[0] not in NEXT[case[1]]])
def test_there_are_no_other_transitions(state: State, command: str) -> None:
    with pytest.raises(Refused) as caught:
        COMMANDS[command](in_state(state))
    assert caught.value.metadata["state"] == state


@given(
    st.sampled_from([State.DRAFT, *PRICED]),
    st.lists(st.sampled_from(sorted(COMMANDS.keys() - {"clone"})), max_size=6),
)
def test_what_a_quote_says_changes_with_its_revision_only(begin: State, commands: list[str]) -> None:
    quote = in_state(begin)
    for command in commands:
        before = quote
        try:
            quote = COMMANDS[command](before)
        except DomainError:
            continue
        changed = {f.name for f in fields(Quote) if getattr(quote, f.name) != getattr(before, f.name)}
        if quote.revision == before.revision:
            assert changed <= {
                "recorded_state",
                "accepted_at",
                "policy_id",
                "withdraw_reason",
                "question",
                "answer_due_at",
                "version",
            }
        else:
            assert quote.revision == before.revision + 1
            assert not changed & {"id", "number", "user_id", "created_by", "product_code", "created_at", "accepted_at"}


def test_numbers_for_people() -> None:
    assert number_for(2026, 42) == "Q-2026-000042"
