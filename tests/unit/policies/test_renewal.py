"""Next terms: when there is one, who decides, and what it comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from libs import ids
from libs.errors import DomainError
from libs.premium import LineKind
from services.policies.lifecycle.rules import renewal, timeline
from services.policies.lifecycle.rules.contract import Contract, draft, put
from services.policies.lifecycle.rules.prices import rate_of
from services.policies.lifecycle.rules.renewal import Preference
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import Flag, State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Ending, TransactionType
from services.policies.lifecycle.store import changes
from tests.unit.policies.renewing import (
    ENDS_ON,
    EUR,
    IN_GRACE,
    NEXT_END,
    ON_PAYMENT,
    RULES,
    STARTS_ON,
    activated,
    at,
    contract,
    decided,
    quote,
    renewed,
)

POLICY = ids.encode("pol", UUID(int=7))
DUE = ENDS_ON - timedelta(days=45)


def refusal(call: Any) -> tuple[str, dict[str, str]]:
    with pytest.raises(DomainError) as refused:
        call()
    return refused.value.reason, dict(refused.value.metadata)


def amounts(made: Contract, number: int) -> list[int]:
    """Net premium, tax and fees of a term."""
    term = made.policy.term_numbered(number)
    assert term is not None
    lines = term.lines()
    return [
        sum(line.amount.minor for line in lines if line.kind is kind)
        for kind in (LineKind.PREMIUM, LineKind.TAX, LineKind.FEE)
    ]


def ended(made: Contract, kind: TransactionType, how: EndKind, day: date) -> Contract:
    """The contract, which ends on a day."""
    ending = Ending(how, Return(Method.PRO_RATA))
    changed = put(made, draft(made, kind, day, at(day, -24), ending, transaction_id=ids.new()))
    return Contract(changed.after, (*made.stack, changed.transaction), made.rules)


def closed(made: Contract, number: int, day: date) -> Contract:
    """The contract, whose next term was not paid."""
    term = made.policy.term_numbered(number)
    assert term is not None
    changed = renewal.not_taken(made, term, "inv_x", at(day), transaction_id=ids.new())
    return Contract(changed.after, (*made.stack, changed.transaction), made.rules)


@pytest.mark.parametrize(
    ("made", "day", "decision", "reason", "metadata"),
    [
        (contract(), DUE - timedelta(days=1), None, "RENEWAL_NOT_DUE", {"from": "2025-11-17"}),
        (contract(None), DUE, None, "DO_NOT_RENEW", {"by": "product"}),
        (contract(), DUE, decided(Preference.NONE), "DO_NOT_RENEW", {"by": "holder"}),
        (contract(), DUE, decided(Preference.NONE, by_insurer=True), "DO_NOT_RENEW", {"by": "insurer"}),
        (contract(is_paid=False), STARTS_ON, None, "POLICY_STATE_INVALID", {"state": "pending"}),
        (contract(), ENDS_ON + timedelta(days=30), None, "POLICY_STATE_INVALID", {"state": "expired"}),
        (contract(replace(ON_PAYMENT, late_days=0)), ENDS_ON, None, "POLICY_STATE_INVALID", {"state": "expired"}),
        (renewed(contract(), quote(), at(DUE)), DUE, None, "TERM_EXISTS", {"term_number": "2"}),
        (renewed(contract(), quote(), at(DUE)), ENDS_ON, None, "TERM_EXISTS", {"term_number": "2"}),
        (
            ended(contract(), TransactionType.CANCELLATION, EndKind.CANCELLED, DUE + timedelta(days=5)),
            DUE, None, "POLICY_STATE_INVALID", {"state": "in_force"},
        ),
        (
            ended(contract(), TransactionType.LAPSE, EndKind.LAPSED, date(2025, 6, 1)),
            DUE, None, "POLICY_STATE_INVALID", {"state": "lapsed"},
        ),
    ],
)  # fmt: skip
def test_next_term_is_refused(made: Contract, day: date, decision: Any, reason: str, metadata: dict[str, str]) -> None:
    rules = made.rules_of(renewal.last_term(made.policy))
    assert refusal(lambda: renewal.check_due(made.policy, rules, decision, at(day))) == (reason, metadata)


@pytest.mark.parametrize("day", [DUE, ENDS_ON - timedelta(days=1), ENDS_ON, ENDS_ON + timedelta(days=29)])
def test_next_term_is_due_from_its_offer_until_its_late_days_are_over(day: date) -> None:
    renewal.check_due(contract().policy, RULES, None, at(day))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "new_business"}, "QUOTE_STATE_INVALID"),
        ({"policy_id": ids.encode("pol", UUID(int=8))}, "QUOTE_STATE_INVALID"),
        ({"state": "quoted"}, "QUOTE_NOT_ACCEPTED"),
        ({"state": "expired"}, "QUOTE_EXPIRED"),
        ({"valid_until": at(DUE, 0)}, "QUOTE_EXPIRED"),
        ({"timeline_sequence": 1}, "QUOTE_OUTDATED"),
        ({"plans": {"monthly": 12}}, "INSTALLMENT_PLAN_INVALID"),
        ({"plans": {"annual": 200000}}, "PLAN_UNAFFORDABLE"),
    ],
)
def test_term_cannot_begin_by_such_a_quote(changes: dict[str, Any], reason: str) -> None:
    assert refusal(lambda: renewal.check_quote(POLICY, quote(**changes), 2, "annual", at(DUE)))[0] == reason


def test_offer_that_nobody_accepted_is_taken_where_nobody_has_to() -> None:
    renewal.check_quote(POLICY, quote(state="quoted"), 2, "annual", at(DUE), is_taken_here=True)
    referred = quote(state="referred")
    taken = lambda: renewal.check_quote(POLICY, referred, 2, "annual", at(DUE), is_taken_here=True)  # noqa: E731
    assert refusal(taken) == ("QUOTE_NOT_ACCEPTED", {"state": "referred"})


def test_term_of_other_days_than_those_that_follow_is_refused() -> None:
    other = quote(starts_on=ENDS_ON + timedelta(days=1))
    assert refusal(lambda: renewed(contract(), other, at(DUE)))[0] == "TERM_EXISTS"


def test_next_term_costs_what_was_quoted_with_the_fees_of_a_renewal() -> None:
    made = renewed(contract(), quote(), at(DUE))
    assert (amounts(made, 1), amounts(made, 2)) == ([120000, 20400, 2500], [130000, 22100, 1000])
    last = made.stack[-1]
    assert (last.type, last.sequence, last.effective_on, last.term_number) == ("renewal", 3, ENDS_ON, 2)
    assert sum(line.amount.minor for line in last.lines) == 153100
    assert made.policy.terms[1].product_version == 2
    assert Flag.RENEWED in made.policy.flags(at(DUE))


def test_term_that_covers_in_grace_goes_on_at_once_paid_or_not() -> None:
    made = renewed(contract(IN_GRACE), quote(), at(DUE))
    assert renewal.first_payable_until(made.policy, made.stack[-1]) is None
    states = [
        made.policy.state(at(day, hour)) for day, hour in ((ENDS_ON, -1), (ENDS_ON, 0), (NEXT_END, -1), (NEXT_END, 0))
    ]
    assert states == [State.IN_FORCE, State.IN_FORCE, State.IN_FORCE, State.EXPIRED]


def test_term_that_waits_for_its_premium_does_not_count_before_it_is_paid() -> None:
    made = renewed(contract(), quote(), at(DUE))
    assert renewal.first_payable_until(made.policy, made.stack[-1]) == at(ENDS_ON + timedelta(days=1), 0)
    assert made.policy.state(at(ENDS_ON)) is State.EXPIRED
    paid = activated(made, 2, at(DUE))
    assert paid.policy.state(at(ENDS_ON, 0)) is State.IN_FORCE
    late = activated(made, 2, at(ENDS_ON, 9))
    assert [late.policy.state(at(ENDS_ON, hour)) for hour in (8, 9)] == [State.GAP, State.IN_FORCE]


def test_term_that_was_not_paid_is_taken_back_and_never_was() -> None:
    made = renewed(contract(), quote(), at(DUE))
    assert refusal(lambda: closed(made, 2, ENDS_ON))[0] == "POLICY_STATE_INVALID"
    over = closed(made, 2, ENDS_ON + timedelta(days=1))
    assert amounts(over, 2) == [0, 0, 0]
    assert [line.amount.minor for line in over.stack[-1].lines] == [-130000, -22100, -1000]
    assert [over.policy.state(at(day)) for day in (DUE, ENDS_ON)] == [State.IN_FORCE, State.EXPIRED]
    assert over.policy.term_at(at(ENDS_ON)).number == 1
    assert Flag.RENEWED not in over.policy.flags(at(DUE))


def test_policy_whose_next_term_was_not_taken_can_still_be_renewed_late() -> None:
    over = closed(renewed(contract(), quote(), at(DUE)), 2, ENDS_ON + timedelta(days=1))
    again = renewed(over, quote(), at(ENDS_ON + timedelta(days=2)))
    assert (again.policy.terms[2].number, again.policy.terms[2].ended) == (3, None)
    paid = activated(again, 3, at(ENDS_ON + timedelta(days=2), 13))
    assert paid.policy.state(at(ENDS_ON + timedelta(days=3))) is State.IN_FORCE
    assert paid.terms_of(paid.stack) == paid.policy.terms


def test_late_term_keeps_its_days_and_the_days_before_are_owed_only_in_grace() -> None:
    late = ENDS_ON + timedelta(days=10)
    waiting, in_grace = (renewed(contract(rule), quote(), at(late)) for rule in (ON_PAYMENT, IN_GRACE))
    # 1300.00 x 355 / 365 = 1264.38; 17 % of it 214.94
    assert (amounts(waiting, 2), amounts(in_grace, 2)) == ([126438, 21494, 1000], [130000, 22100, 1000])
    for made in (waiting, in_grace):
        term = made.policy.terms[1]
        assert (term.starts_on, term.ends_on, term.cover_starts_at) == (ENDS_ON, NEXT_END, None)
        assert renewal.first_payable_until(made.policy, made.stack[-1]) == at(late + timedelta(days=1), 0)
        paid = activated(made, 2, at(late, 13))
        states = [paid.policy.state(at(day, hour)) for day, hour in ((ENDS_ON, 0), (late, 12), (late, 13))]
        assert states == [State.GAP, State.GAP, State.IN_FORCE]


def test_what_a_term_was_opened_with_is_read_as_it_was_written() -> None:
    for made in (renewed(contract(rule), quote(), at(ENDS_ON + timedelta(days=3))) for rule in (ON_PAYMENT, IN_GRACE)):
        opened = made.stack[-1]
        row = SimpleNamespace(change=changes.row_from_change(opened), currency=EUR)
        assert changes.change_from_row(row) == opened.change
        assert timeline.fold(made.stack, rate_of(made.stack), EUR)[1].term.segments == made.policy.terms[1].segments


def test_next_term_has_as_many_days_as_the_last_one() -> None:
    made = contract()
    assert renewal.days_of_next(made.policy) == (ENDS_ON, NEXT_END)
    short = replace(made.policy, terms=(replace(made.policy.terms[0], ends_on=date(2025, 1, 11)),))
    assert renewal.days_of_next(short) == (date(2025, 1, 11), date(2025, 1, 21))


@pytest.mark.parametrize(
    ("decision", "rule", "preference"),
    [
        (None, ON_PAYMENT, Preference.AUTO),
        (None, replace(ON_PAYMENT, is_automatic=False), Preference.MANUAL),
        (None, None, Preference.NONE),
        (decided(Preference.MANUAL), ON_PAYMENT, Preference.MANUAL),
    ],
)
def test_what_nobody_decided_the_product_says(decision: Any, rule: Any, preference: Preference) -> None:
    assert renewal.preference_of(decision, replace(RULES, renewal=rule)) is preference


def decide(day: date, preference: Preference = Preference.NONE, current: Any = None, **by: Any) -> renewal.Decision:
    made, rules, reason = by.pop("made", contract()), by.pop("rules", RULES), by.pop("reason", "fraud")
    by_insurer = by.get("by_insurer", False)
    return renewal.decide(
        made.policy, rules, current, preference, reason, by_insurer=by_insurer, actor="usr_x", now=at(day)
    )


def test_holder_decides_until_the_last_day_and_the_insurer_with_notice() -> None:
    last_day = ENDS_ON - timedelta(days=1)
    assert decide(last_day).preference is Preference.NONE
    noticed = decide(ENDS_ON - timedelta(days=30), by_insurer=True, current=decided(Preference.AUTO))
    assert (noticed.is_insurers, noticed.version) == (True, 2)


@pytest.mark.parametrize(
    ("day", "given", "reason", "metadata"),
    [
        (ENDS_ON - timedelta(days=29), {"by_insurer": True}, "NOTICE_TOO_LATE", {"latest": "2025-12-02"}),
        (ENDS_ON, {}, "POLICY_STATE_INVALID", {"state": "expired"}),
        (DUE, {"by_insurer": True, "reason": " "}, "INVALID_FIELD", {}),
        (
            DUE, {"current": decided(Preference.NONE, by_insurer=True), "preference": Preference.AUTO},
            "DO_NOT_RENEW", {"by": "insurer"},
        ),
        (DUE, {"rules": replace(RULES, renewal=None)}, "DO_NOT_RENEW", {"by": "product"}),
        (DUE, {"made": renewed(contract(), quote(), at(DUE))}, "TERM_EXISTS", {"term_number": "2"}),
    ],
)  # fmt: skip
def test_decision_on_a_next_term_is_refused(
    day: date, given: dict[str, Any], reason: str, metadata: dict[str, str]
) -> None:
    assert refusal(lambda: decide(day, **given)) == (reason, metadata)


def test_insurer_takes_its_refusal_back() -> None:
    refused = decided(Preference.NONE, by_insurer=True)
    assert decide(DUE, Preference.AUTO, refused, by_insurer=True).preference is Preference.AUTO
