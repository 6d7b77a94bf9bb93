"""Which transfers and payers can be, and from which day they count."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from libs import ids
from libs.calendar import day_of
from services.policies.lifecycle.rules import parties
from services.policies.lifecycle.rules.effective import EffectiveDateInvalid
from services.policies.lifecycle.rules.policy import Policy, PolicyStateInvalid
from services.policies.lifecycle.rules.transaction import TransactionType
from tests.unit.policies.test_policy import NOW, issued

TO, PARTNER = ids.new(), ids.new()


def a_policy() -> Policy:
    return issued()[0]


def test_new_holder_pays_where_the_old_one_did() -> None:
    policy = a_policy()
    handover = parties.transfer(policy, TO, PARTNER, None, None, "", NOW)
    assert handover.after == parties.Parties(TO, TO, PARTNER)
    assert handover.effective_on == day_of(NOW, policy.time_zone)
    paid_by_another = replace(policy, payer_id=PARTNER)
    assert parties.transfer(paid_by_another, TO, None, None, None, "", NOW).after.payer == PARTNER


def test_day_of_a_transfer_is_within_the_contract_and_not_before_the_last_one() -> None:
    policy = a_policy()
    later = NOW + timedelta(days=100)
    last = day_of(later, policy.time_zone) - timedelta(days=10)
    running = replace(policy, terms=(replace(policy.terms[0], cover_starts_at=NOW),))
    for day, last_on in ((last, last), (policy.terms[0].starts_on, None)):
        assert parties.transfer(running, TO, None, day, last_on, "", later).effective_on == day
    for day, last_on in (
        (last - timedelta(days=1), last),
        (policy.terms[0].starts_on - timedelta(days=1), None),
        (day_of(later, policy.time_zone) + timedelta(days=1), None),
    ):
        with pytest.raises(EffectiveDateInvalid):
            parties.transfer(running, TO, None, day, last_on, "", later)


def test_contract_that_has_ended_stays_with_its_holder() -> None:
    policy = a_policy()
    later = NOW + timedelta(days=30)  # not taken: its first premium was never paid
    with pytest.raises(PolicyStateInvalid):
        parties.transfer(policy, TO, None, None, None, "", later)
    with pytest.raises(PolicyStateInvalid):
        parties.pay_by(policy, TO, later)


def test_hand_over_is_a_transaction_without_money_that_payments_hears_of() -> None:
    policy, first = issued()
    handover = parties.pay_by(policy, TO, NOW)
    after, transaction = parties.hand_over(policy, handover, first, 2, NOW, transaction_id=ids.new())
    assert (after.payer_id, after.user_id, after.version) == (TO, policy.user_id, policy.version + 1)
    assert (transaction.type, transaction.sequence, transaction.billing_sequence) == (TransactionType.SERVICING, 2, 2)
    assert transaction.lines == ()
    assert transaction.issued_at > first.issued_at


def test_partner_who_serves_already_changes_nothing() -> None:
    policy = replace(a_policy(), partner_id=PARTNER)
    day = policy.terms[0].starts_on
    assert parties.serve_by(policy, PARTNER, day, "") is None
    handover = parties.serve_by(policy, None, day, "cus:2")
    assert handover is not None
    assert (handover.after.partner, handover.reason) == (None, "partner")
