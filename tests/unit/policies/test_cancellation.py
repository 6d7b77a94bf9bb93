"""Cancelling: by whom, from which day, for what return; and taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from libs.errors import DomainError
from services.policies.lifecycle.rules import cancellation, charges
from services.policies.lifecycle.rules.cancellation import NoticeTooShort, ReasonNotAllowed, Wish
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.effective import BackDating, EffectiveDateInvalid
from services.policies.lifecycle.rules.loss import ClaimPaid, LossMark, LossState
from services.policies.lifecycle.rules.policy import PolicyStateInvalid
from services.policies.lifecycle.rules.product import ProductRules, TaxRule
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import CoverStart, Delta, Ending
from tests.unit.policies.contracts import AGENT, CUSTOMER, RULES, UNDERWRITER, contract_of, paid
from tests.unit.policies.stacks import EUR, FIRST, LAST, TARIFF, Stack, amounts, days, risk, stacks

NEW_YEAR = datetime(2025, 1, 1, 9, tzinfo=UTC)
MARCH = datetime(2025, 3, 10, 9, tzinfo=UTC)
TODAY = MARCH.date()
JULY = date(2025, 7, 1)
RULES_OF_ONE_TAX = replace(RULES, taxes=(TaxRule(TARIFF.taxes[0]),))
ADJUSTER, SYSTEM = frozenset({"adjuster"}), frozenset({"system"})
ID = UUID(int=99)


def a_contract(price: int = 120000, rules: ProductRules = RULES_OF_ONE_TAX) -> Contract:
    return contract_of(paid(price), rules, is_paid=True)


def cancel(
    made: Contract,
    reason: str,
    roles: frozenset[str],
    day: date | None = None,
    now: datetime = MARCH,
    marks: Iterable[LossMark] = (),
) -> Changed:
    transaction_id = UUID(int=100 + len(made.stack))
    return cancellation.cancel(made, Wish(reason, roles, day), marks, now, transaction_id=transaction_id)


def refused(error: type[DomainError], *args: object, **details: object) -> dict[str, str]:
    with pytest.raises(error) as raised:
        cancel(*args, **details)  # type: ignore[arg-type]
    return raised.value.metadata


def change(changed: Changed) -> tuple[int, int, int]:
    premium = premium_of(changed.transaction.lines, EUR)
    return premium.net.minor, premium.tax.minor, premium.fees.minor


def after(made: Contract, changed: Changed) -> Contract:
    return replace(made, policy=changed.after, stack=(*made.stack, changed.transaction))


def loss(day: date, state: LossState = LossState.REGISTERED, *, is_paid: bool = False) -> LossMark:
    return LossMark(
        "clm_1", "car_1", "liability", datetime(day.year, day.month, day.day, 12, tzinfo=UTC), state, is_paid
    )


@pytest.mark.parametrize(
    ("price", "used", "reason", "back", "tax"),
    [
        (50000, 150, "withdrawn", 29452, 5007),  # T01
        (50000, 150, "insured_request", 26507, 4506),  # T02
        (150000, 219, "insured_request", 54000, 9180),  # T04
        (100000, 150, "by_table", 48000, 8160),  # T06
        (120000, 181, "withdrawn", 60493, 10284),  # T08, T46
        (120000, 181, "insured_request", 54444, 9255),  # T09, T46
        (10000, 100, "withdrawn", 7260, 1234),  # T14
        (10000, 100, "insured_request", 6534, 1111),  # T14
        (1500000, 90, "withdrawn", 1130137, 192123),  # T16
        (120000, 181, "total_loss", 0, 0),
    ],
)
def test_what_comes_back_is_what_the_product_says_for_the_reason(
    price: int, used: int, reason: str, back: int, tax: int
) -> None:
    roles = UNDERWRITER | CUSTOMER | ADJUSTER
    changed = cancel(a_contract(price), reason, roles, FIRST + timedelta(days=used), NEW_YEAR)
    assert change(changed) == (-back, -tax, 0)


def test_cancellation_keeps_cover_until_its_day() -> None:
    changed = cancel(a_contract(), "withdrawn", UNDERWRITER, JULY)
    midnight = datetime(2025, 7, 1, tzinfo=UTC)
    before = midnight - timedelta(seconds=1)
    assert [changed.after.state(moment) for moment in (MARCH, before, midnight)] == [
        State.IN_FORCE, State.IN_FORCE, State.CANCELLED,
    ]  # fmt: skip
    assert [changed.after.flags(moment) for moment in (before, midnight)] == [(Flag.CANCEL_PENDING,), ()]


@pytest.mark.parametrize(
    ("day", "now"), [(None, MARCH - timedelta(days=80)), (date(2024, 12, 24), MARCH - timedelta(days=80))]
)
def test_what_has_not_begun_is_cancelled_flat(day: date | None, now: datetime) -> None:  # T12, T19
    changed = cancel(a_contract(), "insured_request", CUSTOMER, day, now)
    assert change(changed) == (-120000, -20400, -2500)
    assert (changed.transaction.effective_on, changed.after.state(now)) == (FIRST, State.CANCELLED)


def test_what_is_not_paid_for_is_cancelled_flat() -> None:
    stack = Stack()
    stack.open(risk())
    changed = cancel(contract_of(stack), "insured_request", CUSTOMER, None, NEW_YEAR)
    assert change(changed) == (-120000, -23400, -2500)


def test_cooling_off_counts_calendar_days_from_issue() -> None:  # T12
    made = a_contract()
    issued_on = made.stack[0].issued_at.date()
    last = datetime.combine(issued_on + timedelta(days=14), datetime.max.time(), UTC)
    assert change(cancel(made, "cooling_off", CUSTOMER, None, last)) == (-120000, -20400, -2500)
    metadata = refused(ReasonNotAllowed, made, "cooling_off", CUSTOMER, None, last + timedelta(seconds=1))
    assert metadata == {"reason": "cooling_off", "until": "2025-01-15"}


def test_fee_that_is_never_returned_stays_due_after_a_flat_cancellation() -> None:
    fees = tuple(replace(fee, is_returned=False) for fee in RULES.fees)
    made = a_contract(rules=replace(RULES_OF_ONE_TAX, fees=fees))
    assert change(cancel(made, "cooling_off", CUSTOMER, None, NEW_YEAR)) == (-120000, -20400, 0)


@pytest.mark.parametrize(
    ("reason", "roles"),
    [("insurer", CUSTOMER), ("insured_request", UNDERWRITER), ("total_loss", UNDERWRITER), ("boredom", CUSTOMER),
     ("insurer", frozenset())],
)  # fmt: skip
def test_reason_of_another_role_is_refused(reason: str, roles: frozenset[str]) -> None:
    assert refused(ReasonNotAllowed, a_contract(), reason, roles, JULY) == {"reason": reason}


def test_customer_cancels_from_tomorrow_at_the_earliest() -> None:
    made = a_contract()
    assert cancel(made, "insured_request", CUSTOMER).transaction.effective_on == TODAY + timedelta(days=1)
    assert refused(EffectiveDateInvalid, made, "insured_request", AGENT, TODAY) == {
        "earliest": "2025-03-11", "latest": "2025-12-31",
    }  # fmt: skip
    assert refused(BackDating, made, "insured_request", CUSTOMER, TODAY - timedelta(days=1)) == {
        "days": "1", "allowed": "0",
    }  # fmt: skip


def test_underwriter_backdates_as_far_as_the_product_allows() -> None:
    made = a_contract()
    assert cancel(made, "withdrawn", UNDERWRITER).transaction.effective_on == TODAY
    month_ago = TODAY - timedelta(days=30)
    assert cancel(made, "withdrawn", UNDERWRITER, month_ago).transaction.effective_on == month_ago
    assert refused(BackDating, made, "withdrawn", UNDERWRITER, month_ago - timedelta(days=1)) == {
        "days": "31", "allowed": "30",
    }  # fmt: skip


def test_payments_cancels_from_any_day_of_cover() -> None:
    assert cancel(a_contract(), "non_payment", SYSTEM, date(2025, 1, 3)).transaction.effective_on == date(2025, 1, 3)


def test_notice_is_counted_in_calendar_days_from_today() -> None:
    made = a_contract()
    assert cancel(made, "insurer", UNDERWRITER).transaction.effective_on == date(2025, 4, 9)
    assert refused(NoticeTooShort, made, "insurer", UNDERWRITER, date(2025, 4, 8)) == {"earliest": "2025-04-09"}


@pytest.mark.parametrize("day", [LAST, LAST + timedelta(days=1)])  # T19
def test_day_at_the_end_or_behind_it_is_refused(day: date) -> None:
    assert refused(EffectiveDateInvalid, a_contract(), "withdrawn", UNDERWRITER, day) == {
        "earliest": "2025-03-10", "latest": "2025-12-31",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mark", "is_flat", "is_refused"),
    [
        (loss(TODAY), True, True),
        (loss(TODAY, LossState.CLOSED), True, True),
        (loss(TODAY, LossState.DENIED), True, False),
        (loss(TODAY, LossState.WITHDRAWN), True, False),
        (loss(TODAY, LossState.DENIED, is_paid=True), True, True),
        (loss(TODAY), False, False),
        (loss(TODAY, is_paid=True), False, True),
        (loss(TODAY - timedelta(days=1), is_paid=True), False, False),
    ],
)
def test_cover_of_a_loss_is_not_taken_away(mark: LossMark, is_flat: bool, is_refused: bool) -> None:
    now = MARCH if not is_flat else NEW_YEAR
    made, roles = a_contract(), CUSTOMER | UNDERWRITER
    reason = "cooling_off" if is_flat else "withdrawn"
    if is_refused:
        assert refused(ClaimPaid, made, reason, roles, None, now, [mark]) == {"claim_id": "clm_1"}
    else:
        assert cancel(made, reason, roles, None, now, [mark]).transaction.lines


@pytest.mark.parametrize("kind", [EndKind.CANCELLED, EndKind.LAPSED, EndKind.NOT_TAKEN])
def test_policy_that_ended_is_not_cancelled(kind: EndKind) -> None:
    stack = paid()
    stack.put(date(2025, 2, 1), Ending(kind, RULES.cancellations[3].how))
    made = contract_of(stack, RULES_OF_ONE_TAX, is_paid=True)
    assert refused(PolicyStateInvalid, made, "withdrawn", UNDERWRITER) == {"state": str(kind)}


def test_policy_that_expired_is_not_cancelled() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert refused(PolicyStateInvalid, a_contract(), "withdrawn", UNDERWRITER, None, now) == {"state": "expired"}


def test_earlier_cancellation_replaces_a_pending_one_and_a_later_one_is_refused() -> None:
    made = a_contract()
    pending = after(made, cancel(made, "insured_request", CUSTOMER, JULY))
    assert refused(EffectiveDateInvalid, pending, "withdrawn", UNDERWRITER, JULY)["latest"] == "2025-06-30"
    earlier = cancel(pending, "moved_away", CUSTOMER, date(2025, 5, 1))
    assert amounts(pending.stack[-1].lines, earlier.transaction.lines) == amounts(
        cancel(made, "moved_away", CUSTOMER, date(2025, 5, 1)).transaction.lines
    )
    # Taken back, the one before counts again.
    rescinded = cancellation.rescind(after(pending, earlier), CUSTOMER, "", MARCH, transaction_id=UUID(int=100))
    assert rescinded.after.terms == pending.policy.terms
    assert rescinded.transaction.reverses == earlier.transaction.id


def test_rescission_gives_back_every_line_and_the_days_that_a_change_had_priced() -> None:
    stack = paid()
    stack.put(date(2025, 2, 1), Delta(answers={"price_liability": 150000}))
    made = contract_of(stack, RULES_OF_ONE_TAX, is_paid=True)
    cancelled = cancel(made, "insured_request", CUSTOMER, JULY)
    rescinded = cancellation.rescind(after(made, cancelled), CUSTOMER, "stays", MARCH, transaction_id=UUID(int=100))
    assert rescinded.after.terms == made.policy.terms
    assert amounts(rescinded.transaction.lines) == amounts(charges.mirrored(cancelled.transaction.lines))
    assert (rescinded.transaction.reverses, rescinded.transaction.reason) == (
        cancelled.transaction.id,
        "insured_request",
    )
    assert rescinded.after.flags(MARCH) == ()


def test_cancellation_is_rescinded_by_whoever_may_cancel_for_its_reason_before_its_day() -> None:
    made = a_contract()
    pending = after(made, cancel(made, "insurer", UNDERWRITER, JULY))
    for error, roles, now in (
        (ReasonNotAllowed, CUSTOMER, MARCH),
        (PolicyStateInvalid, UNDERWRITER, datetime(2025, 7, 1, tzinfo=UTC)),
    ):
        with pytest.raises(error):
            cancellation.rescind(pending, roles, "", now, transaction_id=ID)
    with pytest.raises(PolicyStateInvalid):
        cancellation.rescind(made, UNDERWRITER, "", MARCH, transaction_id=ID)


def test_term_that_begins_on_29_february_is_counted_in_its_own_days() -> None:  # T11
    for ends_on, back in ((date(2025, 2, 28), 73), (date(2025, 3, 1), 74)):
        stack = Stack(tariff=replace(TARIFF, taxes=(), fees=()))
        stack.open(risk(365), starts_on=date(2024, 2, 29), ends_on=ends_on)
        stack.put(date(2024, 2, 29), CoverStart(1, datetime(2024, 2, 29, tzinfo=UTC)))
        made = contract_of(stack, replace(RULES, taxes=(), fees=()), is_paid=True)
        assert made.policy.terms[0].days == (365 if back == 73 else 366)
        changed = cancel(made, "withdrawn", UNDERWRITER, date(2024, 12, 17), datetime(2024, 12, 17, tzinfo=UTC))
        assert change(changed)[0] == -round(365 * back / made.policy.terms[0].days)


@given(stacks(), days, st.sampled_from([item.reason for item in RULES.cancellations]))
def test_cancellation_of_any_history_leaves_what_was_earned_and_kept(stack: Stack, day: date, reason: str) -> None:
    stack.put(FIRST, CoverStart(1, NEW_YEAR))
    made = contract_of(stack, is_paid=True)
    roles = CUSTOMER | UNDERWRITER | ADJUSTER | SYSTEM
    try:
        changed = cancel(made, reason, roles, day, NEW_YEAR)
    except DomainError:
        assume(False)
    assert amounts(*(item.lines for item in made.stack), changed.transaction.lines) == amounts(
        *(term.lines() for term in changed.after.terms)
    )
    assert amounts(changed.transaction.lines) == amounts(
        *(term.lines() for term in changed.after.terms),
        charges.mirrored(line for term in made.policy.terms for line in term.lines()),
    )
