"""The rules of policies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from libs import ids
from libs.errors import DomainError
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from services.policies.lifecycle.rules import quote as offers
from services.policies.lifecycle.rules import timeline
from services.policies.lifecycle.rules.charges import premium_of
from services.policies.lifecycle.rules.insured import Insured, identifier_key, insured_by
from services.policies.lifecycle.rules.policy import (
    Policy,
    PolicyStateInvalid,
    activate,
    close_not_taken,
    issue,
    number_for,
    prefix_of,
)
from services.policies.lifecycle.rules.quote import Quote
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Ended, EndKind
from services.policies.lifecycle.rules.transaction import Transaction, TransactionType

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
PREMIUM = Premium(Money(120000, "USD"), Money(20400, "USD"), Money(2500, "USD"))


FIRST, LAST = date(2026, 12, 1), date(2027, 12, 1)
LINES = (
    ChargeLine(LineKind.PREMIUM, Money(100000, "USD"), FIRST, LAST, "third_party", object_id="car_1"),
    ChargeLine(LineKind.PREMIUM, Money(20000, "USD"), FIRST, LAST, "glass", object_id="car_1"),
    ChargeLine(LineKind.TAX, Money(20400, "USD"), FIRST, FIRST, charge_code="premium_tax"),
    ChargeLine(LineKind.FEE, Money(2500, "USD"), FIRST, FIRST, charge_code="policy_fee"),
)
CAR = InsuredObject("car_1", "car", {"plate": "AA-00-BB"}, "AA-00-BB")


def a_quote(**changes: Any) -> Quote:
    quote = Quote(
        id=ids.new(),
        user_id=ids.new(),
        created_by=ids.new(),
        product_code="motor",
        product_version=1,
        time_zone="Africa/Maputo",
        state="accepted",
        valid_until=NOW + timedelta(days=30),
        starts_on=FIRST,
        ends_on=LAST,
        premium=PREMIUM,
        coverages=(Coverage("third_party"), Coverage("glass")),
        plans={"annual": 1, "monthly": 12},
        answers={"driver_age": 34},
        objects=(CAR,),
        lines=LINES,
    )
    return replace(quote, **changes)


def issued(quote: Quote | None = None, plan: str = "annual") -> tuple[Policy, Transaction]:
    quote = quote or a_quote()
    identity = {"policy_id": ids.new(), "transaction_id": ids.new(), "payer_id": quote.user_id}
    return issue(quote, plan, NOW, number="MOT-2026-000001", **identity)


def paid(policy: Policy, last: Transaction, paid_at: datetime = NOW) -> tuple[Policy, Transaction]:
    return activate(policy, 1, last, "pay_1", paid_at, NOW, transaction_id=ids.new())


def test_issued_policy_takes_everything_from_the_quote() -> None:
    quote = a_quote()
    policy, transaction = issued(quote, "monthly")
    (term,) = policy.terms
    (segment,) = term.segments
    assert (policy.quote_id, policy.user_id, policy.plan_code) == (quote.id, quote.user_id, "monthly")
    assert (term.starts_on, term.ends_on, segment.starts_on, segment.ends_on) == (FIRST, LAST, FIRST, LAST)
    assert (segment.risk.answers, segment.risk.objects, segment.risk.coverages) == (
        quote.answers, quote.objects, quote.coverages,
    )  # fmt: skip
    assert premium_of(term.lines(), "USD") == premium_of(transaction.lines, "USD") == PREMIUM
    assert {(line.kind, line.coverage_code, line.charge_code, line.amount) for line in transaction.lines} == {
        (line.kind, line.coverage_code, line.charge_code, line.amount) for line in LINES
    }
    assert (transaction.type, transaction.sequence) == (TransactionType.NEW_BUSINESS, 1)


def test_timeline_of_a_new_policy_is_what_its_stack_folds_to() -> None:
    policy, transaction = issued()
    (folded,) = timeline.fold([transaction], lambda _, __: policy.terms[0].segments[0].full_term, "USD")
    assert folded.term == replace(policy.terms[0], charges=())


@pytest.mark.parametrize(
    ("changes", "plan", "state"),
    [
        ({"state": "quoted"}, "annual", offers.QuoteNotAccepted),
        ({"state": "referred"}, "annual", offers.QuoteNotAccepted),
        ({"state": "declined"}, "annual", offers.QuoteNotAccepted),
        ({"state": "expired"}, "annual", offers.QuoteExpired),
        ({"valid_until": NOW - timedelta(microseconds=1)}, "annual", offers.QuoteExpired),
        ({"state": "bound", "policy_id": "pol_01m86535y1eaws2ywvkrpm6m62"}, "annual", offers.PolicyAlreadyIssued),
        ({"kind": "endorsement"}, "annual", offers.QuoteStateInvalid),
        ({"starts_on": NOW.date() - timedelta(days=1)}, "annual", offers.StartDateInvalid),
        ({}, "weekly", offers.InstallmentPlanInvalid),
    ],
)
def test_unfit_quote_cannot_be_issued(changes: dict[str, Any], plan: str, state: type[DomainError]) -> None:
    with pytest.raises(state):
        offers.check_issuable(a_quote(**changes), plan, NOW)


def test_quote_of_another_kind_is_refused_with_its_state() -> None:
    with pytest.raises(offers.QuoteStateInvalid) as refusal:
        offers.check_issuable(a_quote(kind="renewal"), "annual", NOW)
    assert refusal.value.metadata == {"state": "accepted", "kind": "renewal"}


@pytest.mark.parametrize("changes", [{"valid_until": NOW}, {"starts_on": NOW.date()}])
def test_quote_is_good_until_its_last_moment_and_on_its_first_day(changes: dict[str, Any]) -> None:
    offers.check_issuable(a_quote(**changes), "annual", NOW)


@pytest.mark.parametrize(
    ("paid_at", "starts_at"),
    [
        # Days begin in Maputo two hours before they do in UTC.
        (NOW, datetime(2026, 11, 30, 22, tzinfo=UTC)),
        (datetime(2026, 12, 1, 8, 30, tzinfo=UTC), datetime(2026, 12, 1, 8, 30, tzinfo=UTC)),
    ],
)
def test_cover_begins_with_its_first_day_or_with_the_payment_when_that_is_later(
    paid_at: datetime, starts_at: datetime
) -> None:
    policy, transaction = paid(*issued(), paid_at)
    assert policy.terms[0].cover_starts_at == starts_at
    assert policy.state(starts_at - timedelta(microseconds=1)) is State.SCHEDULED
    assert policy.state(starts_at) is State.IN_FORCE
    assert (policy.activated_at, policy.version) == (paid_at, 2)
    assert (transaction.type, transaction.sequence, transaction.source_id) == (TransactionType.ACTIVATION, 2, "pay_1")
    assert transaction.lines == ()


def test_transaction_is_never_issued_before_the_one_it_follows() -> None:
    policy, first = issued()
    _, activation = activate(policy, 1, first, "pay_1", NOW, NOW - timedelta(hours=1), transaction_id=ids.new())
    assert activation.issued_at == first.issued_at + timedelta(microseconds=1)


def test_policy_in_force_cannot_be_activated_again() -> None:
    policy, activation = paid(*issued())
    with pytest.raises(PolicyStateInvalid):
        paid(policy, activation)


def test_policy_that_is_not_taken_owes_nothing_and_cannot_be_activated() -> None:
    policy, first = issued()
    late = datetime(2026, 12, 1, 22, tzinfo=UTC)
    void, closing = close_not_taken(policy, first, "inv_1", 2, late, transaction_id=ids.new())
    assert void.state(late) is void.state(NOW) is State.NOT_TAKEN
    assert void.terms[0].lines() == []
    assert premium_of([*first.lines, *closing.lines], "USD").total == Money(0, "USD")
    with pytest.raises(PolicyStateInvalid):
        paid(void, closing)


def test_term_that_is_cancelled_for_a_later_day_begins_when_it_is_paid() -> None:
    policy, first = issued()
    cancelled = replace(policy, terms=(replace(policy.terms[0], ended=Ended(EndKind.CANCELLED, date(2027, 2, 1))),))
    begun, _ = paid(cancelled, first)
    assert begun.terms[0].cover_starts_at is not None
    assert begun.terms[0].ended == cancelled.terms[0].ended


@pytest.mark.parametrize("ended", [Ended(EndKind.CANCELLED, FIRST), Ended(EndKind.LAPSED, date(2027, 2, 1))])
def test_term_that_has_ended_does_not_begin_any_more(ended: Ended) -> None:
    policy, first = issued()
    with pytest.raises(PolicyStateInvalid):
        paid(replace(policy, terms=(replace(policy.terms[0], ended=ended),)), first)


@pytest.mark.parametrize("moment", [NOW, datetime(2026, 12, 1, 21, 59, 59, tzinfo=UTC)])
def test_policy_that_can_still_be_paid_is_not_closed(moment: datetime) -> None:
    with pytest.raises(PolicyStateInvalid):
        close_not_taken(*issued(), "inv_1", 2, moment, transaction_id=ids.new())


def test_policy_shows_the_term_and_the_segment_of_the_moment_asked_for() -> None:
    policy, _ = issued()
    (term,) = policy.terms
    next_term = replace(
        term, number=2, starts_on=LAST, ends_on=date(2028, 12, 1), segments=(replace(term.segments[0], starts_on=LAST),)
    )
    renewed = replace(policy, terms=(term, next_term))
    assert [renewed.term_at(datetime(year, 12, 2, tzinfo=UTC)).number for year in (2025, 2026, 2027, 2030)] == [
        1, 1, 2, 2,
    ]  # fmt: skip
    segment = renewed.segment_at(NOW)
    assert segment is not None
    assert segment.starts_on == FIRST


def test_objects_are_told_by_their_identifiers_however_they_are_written() -> None:
    assert identifier_key("aa-00-BB") == identifier_key("AA 00 BB") == "aa00bb"
    policy, _ = issued()
    assert insured_by(policy.terms) == [Insured("car_1", "car", "aa00bb", FIRST, LAST)]


def test_numbers_name_product_and_year() -> None:
    assert number_for("travel", 2026, 42) == f"{prefix_of('travel')}-2026-000042" == "TRA-2026-000042"
