"""The rules of policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from libs import ids
from libs.errors import DomainError
from libs.money import Money
from libs.premium import Coverage, Premium
from services.policies.lifecycle.rules.policy import (
    InstallmentPlanInvalid,
    Policy,
    PolicyAlreadyIssued,
    PolicyStateInvalid,
    Quote,
    QuoteExpired,
    QuoteNotAccepted,
    Segment,
    State,
    Term,
    TransactionType,
    activate,
    issue,
    number_for,
    prefix_of,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PREMIUM = Premium(Money(120000, "USD"), Money(20400, "USD"), Money(2500, "USD"))


def a_quote(**changes: Any) -> Quote:
    quote = Quote(
        id=ids.new(),
        user_id=ids.new(),
        product_code="motor",
        product_version=1,
        time_zone="Africa/Maputo",
        state="accepted",
        valid_until=NOW + timedelta(days=30),
        starts_on=date(2026, 12, 1),
        ends_on=date(2027, 12, 1),
        premium=PREMIUM,
        coverages=(Coverage("third_party"),),
        plans={"annual": 1, "monthly": 12},
    )
    return replace(quote, **changes)


def a_policy(quote: Quote | None = None) -> Policy:
    policy, _ = issue(
        quote or a_quote(), "annual", NOW, policy_id=ids.new(), transaction_id=ids.new(), number="MOT-2026-000001"
    )
    return policy


def test_issued_policy_takes_everything_from_the_quote() -> None:
    quote = a_quote()
    policy, transaction = issue(
        quote, "monthly", NOW, policy_id=ids.new(), transaction_id=ids.new(), number="MOT-2026-000001"
    )
    assert (policy.quote_id, policy.user_id, policy.plan_code) == (quote.id, quote.user_id, "monthly")
    assert (policy.term.starts_on, policy.term.ends_on) == (quote.starts_on, quote.ends_on)
    assert policy.term.premium.total == Money(142900, "USD")
    assert (transaction.type, transaction.sequence) == (TransactionType.NEW_BUSINESS, 1)
    assert transaction.premium_change == Money(120000, "USD")


@pytest.mark.parametrize(
    ("changes", "plan", "state"),
    [
        ({"state": "quoted"}, "annual", QuoteNotAccepted),
        ({"state": "referred"}, "annual", QuoteNotAccepted),
        ({"state": "declined"}, "annual", QuoteNotAccepted),
        ({"state": "expired"}, "annual", QuoteExpired),
        ({"valid_until": NOW - timedelta(microseconds=1)}, "annual", QuoteExpired),
        ({"state": "bound", "policy_id": "pol_01m86535y1eaws2ywvkrpm6m62"}, "annual", PolicyAlreadyIssued),
        ({}, "weekly", InstallmentPlanInvalid),
    ],
)
def test_unfit_quote_cannot_be_issued(changes: dict[str, Any], plan: str, state: type[DomainError]) -> None:
    with pytest.raises(state):
        issue(a_quote(**changes), plan, NOW, policy_id=ids.new(), transaction_id=ids.new(), number="x")


def test_quote_is_good_until_its_last_moment() -> None:
    assert a_policy(a_quote(valid_until=NOW)).state(NOW) is State.PENDING


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        # The first day of cover, 1 December, ends in Maputo two hours before it does in UTC.
        (datetime(2026, 12, 1, 21, 59, 59, tzinfo=UTC), State.PENDING),
        (datetime(2026, 12, 1, 22, 0, 0, tzinfo=UTC), State.NOT_TAKEN),
    ],
)
def test_unpaid_policy_is_not_taken_once_its_first_day_is_over(moment: datetime, state: State) -> None:
    assert a_policy().state(moment) is state


def test_paid_policy_is_in_force() -> None:
    policy, transaction = activate(a_policy(), 2, "pay_1", NOW, transaction_id=ids.new())
    assert policy.state(NOW) is State.IN_FORCE
    assert policy.version == 2
    assert (transaction.type, transaction.sequence, transaction.source_id) == (TransactionType.ACTIVATION, 2, "pay_1")


def test_policy_in_force_cannot_be_activated_again() -> None:
    policy, _ = activate(a_policy(), 2, "pay_1", NOW, transaction_id=ids.new())
    with pytest.raises(PolicyStateInvalid):
        activate(policy, 3, "pay_2", NOW, transaction_id=ids.new())


@pytest.mark.parametrize(
    ("moment", "state"),
    [
        # The term ends as 1 December 2027 begins in Maputo, two hours ahead of UTC.
        (datetime(2027, 11, 30, 21, 59, 59, tzinfo=UTC), State.IN_FORCE),
        (datetime(2027, 11, 30, 22, 0, 0, tzinfo=UTC), State.EXPIRED),
    ],
)
def test_term_ends_at_midnight_in_the_time_zone_of_the_product(moment: datetime, state: State) -> None:
    policy, _ = activate(a_policy(), 2, "pay_1", NOW, transaction_id=ids.new())
    assert policy.state(moment) is state


def test_price_of_a_term_is_the_sum_of_its_segments() -> None:
    halves = [Segment(number, date(2026, 12, 1), date(2027, 12, 1), (), PREMIUM) for number in (1, 2)]
    term = Term(1, date(2026, 12, 1), date(2027, 12, 1), tuple(halves))
    assert term.premium.total == Money(2 * 142900, "USD")


def test_numbers_name_product_and_year() -> None:
    assert number_for("travel", 2026, 42) == f"{prefix_of('travel')}-2026-000042" == "TRA-2026-000042"
