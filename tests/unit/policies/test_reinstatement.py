"""When a policy can be put back, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.errors import FieldInvalid
from libs.money import Money
from services.policies.lifecycle.rules import lapse, reinstatement
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.loss import LossMark, LossState
from services.policies.lifecycle.rules.policy import PolicyStateInvalid
from services.policies.lifecycle.rules.product import ReinstatementRule
from services.policies.lifecycle.rules.reinstatement import Arrears, LossInGap, Reinstatement, ReinstatementWindow
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State
from tests.unit.policies.contracts import RULES
from tests.unit.policies.stacks import EUR, LAST, amounts, end
from tests.unit.policies.test_lapse import ASKED, GRACE_ENDS, NOW, in_force, unpaid

STATED = Reinstatement(statement="No loss.")
NOTHING = Money.zero(EUR)
RULE = ReinstatementRule(30, with_gap=True, needs_statement=True)


def under(made: Contract, rule: ReinstatementRule | None = RULE) -> Contract:
    """The contract of a product with such a rule."""
    return replace(made, rules={1: replace(RULES, reinstatement=rule)})


def follow(made: Contract, changed: Changed) -> Contract:
    """The contract behind a change."""
    return replace(made, policy=changed.after, stack=(*made.stack, changed.transaction))


def lapsed(rule: ReinstatementRule | None = RULE) -> Contract:
    """A policy that lapsed on 3 March."""
    made = in_force()
    return under(follow(made, lapse.lapse(made, ASKED, "dlq", NOW, transaction_id=UUID(int=99))), rule)


def reinstate(made: Contract, asked: Reinstatement = STATED, now: datetime = NOW, **details: Any) -> Changed:
    arrears, losses = details.pop("arrears", NOTHING), details.pop("losses", ())
    return reinstatement.reinstate(made, asked, arrears, losses, now, transaction_id=UUID(int=100))


def test_lapse_and_reinstatement_without_gap_cost_nothing_in_total() -> None:
    made = lapsed()
    changed = reinstate(made)
    assert amounts(changed.transaction.lines, made.stack[-1].lines) == {}
    assert changed.after.terms == in_force().policy.terms
    assert changed.after.state(NOW) is State.IN_FORCE


def test_reinstatement_with_gap_costs_the_days_from_tomorrow_on() -> None:
    now = NOW + timedelta(days=9)  # 12 March: cover goes on on 13 March, ten days after it ended
    changed = reinstate(lapsed(), replace(STATED, with_gap=True), now)
    (term,) = changed.after.terms
    assert [(part.starts_on, part.ends_on) for part in term.segments] == [
        (date(2025, 1, 1), GRACE_ENDS),
        (date(2025, 3, 13), LAST),
    ]
    # round(1200.00 × 355 / 365)
    assert premium_of(term.lines(), EUR).net == Money(116712, EUR)
    assert changed.after.state(now) is State.GAP
    assert changed.after.state(now + timedelta(days=1)) is State.IN_FORCE


def test_window_is_over_on_the_day_that_the_refusal_names() -> None:
    last_day = datetime(2025, 4, 1, 22, tzinfo=UTC)  # 30 days: 3 March to 1 April
    assert reinstate(lapsed(), now=last_day).after.state(last_day) is State.IN_FORCE
    with pytest.raises(ReinstatementWindow) as refused:
        reinstate(lapsed(), now=last_day + timedelta(hours=2))
    assert refused.value.metadata == {"until": "2025-04-02"}
    with pytest.raises(ReinstatementWindow) as never:
        reinstate(lapsed(rule=None))
    assert never.value.metadata == {"until": "2025-03-03"}


def test_window_ends_with_the_term() -> None:
    made = under(in_force((date(2025, 12, 20), end(Return(Method.PRO_RATA)))))
    last, before = datetime(2025, 12, 31, 12, tzinfo=UTC), datetime(2025, 12, 30, 12, tzinfo=UTC)
    with_gap = replace(STATED, with_gap=True)
    assert reinstate(made, now=last).after.state(last) is State.IN_FORCE
    assert reinstate(made, with_gap, before).after.state(before) is State.GAP
    for asked, moment in ((with_gap, last), (STATED, datetime(2026, 1, 1, 1, tzinfo=UTC))):
        with pytest.raises(ReinstatementWindow):
            reinstate(made, asked, moment)


def test_what_is_past_due_has_to_be_paid_before() -> None:
    with pytest.raises(Arrears) as refused:
        reinstate(lapsed(), arrears=Money(1, EUR))
    assert refused.value.metadata == {"amount": str(Money(1, EUR))}


@pytest.mark.parametrize(
    ("rule", "asked", "field"),
    [
        (RULE, Reinstatement(statement=" "), "no_loss_statement"),
        (replace(RULE, with_gap=False), replace(STATED, with_gap=True), "with_gap"),
    ],
)
def test_what_the_product_does_not_allow_is_refused(rule: ReinstatementRule, asked: Reinstatement, field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        reinstate(lapsed(rule), asked)
    assert list(refused.value.violations) == [field]


@pytest.mark.parametrize(
    "made",
    [in_force(), unpaid(), in_force((date(2025, 7, 1), end(Return(Method.PRO_RATA))))],
    ids=["in force", "pending", "cancelled later"],
)
def test_policy_whose_cover_did_not_end_is_not_put_back(made: Contract) -> None:
    assert not reinstatement.has_ended(made.policy, NOW)
    with pytest.raises(PolicyStateInvalid) as refused:
        reinstate(under(made))
    assert refused.value.metadata == {"state": made.policy.state(NOW)}


def test_flat_cancellation_comes_back_with_its_fee() -> None:
    made = under(in_force((date(2025, 1, 10), end(Return(Method.FLAT)))))
    now = datetime(2025, 1, 12, tzinfo=UTC)
    assert premium_of(made.policy.terms[0].lines(), EUR).total == NOTHING
    assert reinstate(made, now=now).after.terms == in_force().policy.terms


@pytest.mark.parametrize(
    ("loss_at", "state", "is_paid", "with_gap", "is_refused"),
    [
        (datetime(2025, 3, 3, tzinfo=UTC), LossState.REGISTERED, False, False, True),
        (datetime(2025, 3, 10, 23, 59, tzinfo=UTC), LossState.CLOSED, False, False, True),
        (datetime(2025, 3, 10, tzinfo=UTC), LossState.DENIED, False, False, False),
        (datetime(2025, 3, 10, tzinfo=UTC), LossState.DENIED, True, False, True),
        (datetime(2025, 3, 10, tzinfo=UTC), LossState.REGISTERED, False, True, False),
        (datetime(2025, 3, 2, 23, 59, tzinfo=UTC), LossState.REGISTERED, False, False, False),
    ],
)
def test_loss_of_the_days_that_would_be_covered_again_keeps_the_policy_from_being_put_back(
    loss_at: datetime, state: LossState, is_paid: bool, with_gap: bool, is_refused: bool
) -> None:
    mark = LossMark("clm_1", "car_1", "liability", loss_at, state, is_paid)
    asked, now = replace(STATED, with_gap=with_gap), datetime(2025, 3, 12, tzinfo=UTC)
    if not is_refused:
        assert reinstate(lapsed(), asked, now, losses=(mark,)).transaction.lines
        return
    with pytest.raises(LossInGap) as refused:
        reinstate(lapsed(), asked, now, losses=(mark,))
    assert refused.value.metadata == {"claim_id": "clm_1"}
