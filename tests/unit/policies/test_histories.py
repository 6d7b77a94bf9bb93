"""Whatever happens to a policy, in whatever order: its money, its days and its states fit together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.policies.lifecycle.rules import charges
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.change_request import Request
from services.policies.lifecycle.rules.transaction import TransactionType
from tests.unit.policies import proofs
from tests.unit.policies.histories import CARS, EVERY_ROLE, Command, History, cancel_as, histories, issue_change
from tests.unit.policies.stacks import FIRST, amounts


@settings(max_examples=60)
@given(histories(25))
def test_money_days_and_states_of_any_history_fit_together(commands: list[Command]) -> None:
    proofs.live(History.begin(), commands)


@settings(max_examples=30)
@given(histories(12))
def test_reversal_takes_every_line_back_whatever_happened_before(commands: list[Command]) -> None:
    history = History.begin()
    proofs.live(history, commands, checks=False)
    if history.made.policy.terms[0].cover_starts_at is None:
        return  # what ends before it is paid is only bought anew
    before = amounts(history.lines)
    for name in ("endorse", "cancel", "lapse", "reinstate"):
        if history.do(Command(name, 4, 4)) and history.stack[-1].lines:
            break
    else:
        return
    made = history.stack[-1]
    assert history.do(Command("reverse", 0, 1))
    assert history.stack[-1].type is TransactionType.REVERSAL
    assert amounts(history.stack[-1].lines) == amounts(charges.mirrored(made.lines))
    assert amounts(history.lines) == before


@st.composite
def independent_changes(draw: st.DrawFn) -> list[Request]:
    """Changes of other things each, or of the same on other days, all of which make a difference."""
    days = draw(st.lists(st.integers(0, 150), min_size=2, max_size=4, unique=True))
    changes = []
    for number, day in enumerate(days):
        on = FIRST + timedelta(days=day)
        price = {"price_liability": 1000 * (number + 1) + draw(st.integers(1, 900))}
        changes.append(Request(on, price, added_objects=(CARS[1],) if number == 0 else ()))
    return changes


@settings(max_examples=12)
@given(
    independent_changes(),
    st.sampled_from(["insured_request", "moved_away", "withdrawn", "by_table", "total_loss", "insurer"]),
    st.integers(151, 360),
    st.randoms(use_true_random=False),
)
def test_another_order_of_issue_ends_in_the_same_money(
    changes: Sequence[Request], reason: str, ends_after: int, random: Random
) -> None:
    """Also of a cancellation for a day behind all of them."""
    cancelled = Wish(reason, EVERY_ROLE, FIRST + timedelta(days=ends_after))
    results = []
    for _ in range(4):
        history = History.begin()
        assert history.do(Command("pay"))
        steps: list[Request | Wish] = [*changes, cancelled]
        for step in random.sample(steps, len(steps)):
            if isinstance(step, Request):
                issue_change(history, step)
            else:
                cancel_as(history, step)
        proofs.check(history)
        (term,) = history.made.policy.terms
        results.append((amounts(history.lines), [(part.starts_on, part.ends_on) for part in term.segments]))
    assert all(result == results[0] for result in results)
