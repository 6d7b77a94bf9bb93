"""The rules of refunds: each of its states, and what may be done in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import AuthorityExceeded, DomainError, FourEyes
from libs.money import Money
from services.payments.billing.rules import refund
from services.payments.billing.rules.refund import (
    EXPIRED,
    Captured,
    Failed,
    MethodExpired,
    Outcome,
    Part,
    PartState,
    Pending,
    Refund,
    RefundStateInvalid,
    State,
    Succeeded,
)

NOW = datetime(2027, 7, 1, 9, tzinfo=UTC)
OWNER, HEAD = ids.new(), ids.new()
OUTCOMES: list[Callable[[Part], Outcome]] = [
    lambda part: Succeeded("ref", part.amount),
    lambda part: Succeeded("ref", part.amount + part.amount),
    lambda part: Failed("ref", "declined"),
    lambda part: Pending(),
]


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


def a_refund(state: State = State.APPROVED) -> Refund:
    """One of two parts, in a state."""
    parts = (Part(ids.new(), ids.new(), eur(70)), Part(ids.new(), ids.new(), eur(30)))
    made = Refund(
        ids.new(), ids.new(), OWNER, None, eur(100), "UTC", date(2027, 7, 1), NOW, State.APPROVED, parts,
        requested_by=OWNER,
    )  # fmt: skip
    if state in (State.APPROVED, State.PENDING_APPROVAL):
        return replace(made, state=state)
    if state is State.RETURNED:
        return refund.take_back(made, NOW)[0]
    sent = refund.send(made, NOW)
    if state is State.SENT:
        return sent
    for part in sent.parts:
        sent = refund.apply(sent, part.id, Succeeded("ref", part.amount), NOW)
    return refund.apply(sent, sent.parts[1].id, Failed("ref", "back"), NOW) if state is State.FAILED else sent


COMMANDS: dict[str, tuple[Callable[[Refund], object], set[State]]] = {
    "approve": (lambda made: refund.approve(made, HEAD, eur(100)), {State.PENDING_APPROVAL}),
    "take back": (lambda made: refund.take_back(made, NOW), {State.PENDING_APPROVAL, State.APPROVED, State.FAILED}),
    "send": (lambda made: refund.send(made, NOW), {State.APPROVED}),
    "retry": (lambda made: refund.retry(made, ids.new), {State.FAILED}),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_refused_in_every_state_that_does_not_allow_it(state: State, command: str) -> None:
    run, allowed = COMMANDS[command]
    made = a_refund(state)
    assert made.state is state
    if state in allowed:
        run(made)
        return
    with pytest.raises(RefundStateInvalid) as refused:
        run(made)
    assert refused.value.metadata == {"state": state}


def test_parts_that_end_differently_fail_together_and_only_what_failed_is_sent_again() -> None:
    failed = a_refund(State.FAILED)
    assert (failed.refunded, failed.completed_at) == (eur(70), NOW)
    again = refund.retry(failed, ids.new)
    sent = refund.send(again, NOW)
    assert [(part.attempt, part.state) for part in sent.parts] == [
        (1, PartState.SUCCEEDED),
        (1, PartState.FAILED),
        (2, PartState.SENT),
    ]
    assert len({part.id for part in sent.parts}) == 3
    assert refund.apply(sent, sent.parts[1].id, Succeeded("late", eur(30)), NOW) is sent
    done = refund.apply(sent, sent.parts[2].id, Succeeded("ref", eur(30)), NOW)
    assert (done.state, done.refunded) == (State.SUCCEEDED, eur(100))


def test_only_what_did_not_arrive_becomes_credit_again() -> None:
    returned, credit = refund.take_back(a_refund(State.FAILED), NOW, by=HEAD, note="the card is no more")
    assert (returned.state, credit, returned.refunded, returned.decided_by) == (State.RETURNED, eur(30), eur(70), HEAD)


@pytest.mark.parametrize(
    ("approver", "limit", "error"), [(OWNER, 100, FourEyes), (None, 100, FourEyes), (HEAD, 99, AuthorityExceeded)]
)
def test_refund_is_approved_by_another_person_within_their_limit(
    approver: object, limit: int, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        refund.approve(a_refund(State.PENDING_APPROVAL), approver, eur(limit))  # type: ignore[arg-type]


def test_card_that_is_no_more_is_not_tried_again() -> None:
    sent = a_refund(State.SENT)
    failed = refund.apply(sent, sent.parts[0].id, Failed("ref", EXPIRED), NOW)
    assert failed.state is State.SENT, "the other part is still on its way"
    failed = refund.apply(failed, sent.parts[1].id, Succeeded("ref", eur(30)), NOW)
    with pytest.raises(MethodExpired) as refused:
        refund.retry(failed, ids.new)
    assert refused.value.metadata == {"refundable": str(eur(30))}


@given(answers=st.lists(st.tuples(st.integers(0, 1), st.sampled_from(OUTCOMES)), max_size=12))
def test_whatever_a_provider_says_a_part_that_failed_stays_so_and_no_amount_is_lost(
    answers: list[tuple[int, Callable[[Part], Outcome]]],
) -> None:
    made = a_refund(State.SENT)
    for number, answer in answers:
        part = made.parts[number]
        after = refund.apply(made, part.id, answer(part), NOW)
        if part.state is PartState.FAILED:
            assert after is made
        made = after
    assert made.sum(*PartState) == made.amount
    ended = {part.state for part in made.parts} <= {PartState.SUCCEEDED, PartState.FAILED}
    assert (made.completed_at is not None) == ended == (made.state in (State.SUCCEEDED, State.FAILED))


@given(amount=st.integers(1, 1000), captured=st.lists(st.integers(0, 300), max_size=6))
def test_split_never_takes_more_of_a_payment_than_is_left_and_all_that_there_is(
    amount: int, captured: list[int]
) -> None:
    payments = [Captured(ids.new(), left) for left in captured]
    parts = refund.split(eur(amount), payments)
    left = {payment.payment_id: payment.left for payment in payments}
    assert all(0 < part.minor <= left[payment_id] for payment_id, part in parts)
    assert sum(part.minor for _, part in parts) == min(amount, sum(captured))
    assert [payment_id for payment_id, _ in parts] == sorted(payment_id for payment_id, _ in parts)
