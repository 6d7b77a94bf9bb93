"""What is past due and dunned, and until when a policy covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs import ids
from libs.premium import LineKind
from services.payments.billing.rules import arrears
from services.payments.billing.rules.amounts import Amounts
from services.payments.billing.rules.arrears import Change
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.rules.transaction import Kind

TODAY = date(2027, 2, 2)
YESTERDAY = TODAY - timedelta(days=1)
ENDS_ON = date(2028, 1, 1)
UNTIL = datetime(2027, 2, 2, tzinfo=UTC)


def bill(due_on: date = YESTERDAY, term: int = 1, number: int = 2, **changes: Any) -> Invoice:
    fields: dict[str, Any] = {
        "id": ids.new(),
        "policy_id": ids.new(),
        "user_id": ids.new(),
        "partner_id": None,
        "term_number": term,
        "installment_number": number,
        "due_on": due_on,
        "amounts": Amounts("EUR", {(LineKind.PREMIUM, ""): 100_00}),
        "issued_at": datetime(2027, 1, 25, tzinfo=UTC),
        "time_zone": "UTC",
        **changes,
    }
    return Invoice(**fields)


def test_invoice_is_past_due_from_the_day_after_its_due_date() -> None:
    late, today = bill(), bill(TODAY)
    assert arrears.past_due([today, late], TODAY) == [late]


def test_oldest_arrears_come_first() -> None:
    newer, older = bill(), bill(YESTERDAY - timedelta(days=31))
    assert arrears.dunned([newer, older], TODAY) == [older, newer]


def test_policy_whose_first_premium_is_not_paid_is_not_dunned() -> None:
    first = bill(number=1, payable_until=UNTIL)
    assert arrears.dunned([first, bill()], TODAY) == []


def test_first_invoice_of_a_later_term_is_dunned_unless_cover_waits_for_it() -> None:
    in_grace, on_payment = bill(term=2, number=1), bill(term=2, number=1, payable_until=UNTIL)
    assert arrears.dunned([in_grace], TODAY) == [in_grace]
    assert arrears.dunned([on_payment, bill(term=2)], TODAY) == []


def test_later_invoices_of_a_term_that_was_paid_for_are_dunned_like_any_other() -> None:
    second = bill(term=2)
    assert arrears.dunned([second], TODAY) == [second]


def test_arrears_of_the_term_before_are_dunned_while_the_next_one_waits_for_its_payment() -> None:
    before = bill()
    assert arrears.dunned([before, bill(term=2, number=1, payable_until=UNTIL)], TODAY) == [before]


def change(
    kind: Kind, on: date = TODAY, term: int = 1, ends: date | None = ENDS_ON, reverses: UUID | None = None
) -> Change:
    return Change(ids.new(), kind, term, ends, on, reverses)


def test_cover_ends_with_the_last_term() -> None:
    renewed = change(Kind.RENEWAL, term=2, ends=date(2029, 1, 1))
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS)]) == ENDS_ON
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS), renewed]) == date(2029, 1, 1)
    not_taken = change(Kind.NOT_TAKEN, ENDS_ON, term=2)
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS), renewed, not_taken]) == ENDS_ON
    taken_back = change(Kind.REVERSAL, reverses=renewed.id)
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS), renewed, taken_back]) == ENDS_ON


@pytest.mark.parametrize("kind", [Kind.CANCELLATION, Kind.LAPSE, Kind.NOT_TAKEN])
def test_cover_ends_with_an_ending_until_it_is_taken_back(kind: Kind) -> None:
    new_business, ended = change(Kind.NEW_BUSINESS), change(kind)
    assert arrears.cover_ends_on([new_business, ended]) == TODAY
    assert arrears.cover_ends_on([new_business, ended, change(Kind.REVERSAL, reverses=ended.id)]) == ENDS_ON
    assert arrears.cover_ends_on([new_business, ended, change(Kind.REINSTATEMENT)]) == ENDS_ON


def test_earlier_of_two_endings_counts() -> None:
    cancelled, lapsed = change(Kind.CANCELLATION, date(2027, 6, 1)), change(Kind.LAPSE, date(2027, 3, 3))
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS), cancelled, lapsed]) == date(2027, 3, 3)


def test_end_of_cover_that_nobody_said_is_not_known() -> None:
    assert arrears.cover_ends_on([change(Kind.NEW_BUSINESS, ends=None)]) is None


def test_cover_that_ended_by_the_day_of_its_first_premium_never_begins() -> None:
    new_business = replace(change(Kind.NEW_BUSINESS), term_starts_on=TODAY)
    tomorrow = TODAY + timedelta(days=1)
    assert not arrears.begins_no_cover([new_business], 1, TODAY)
    assert arrears.begins_no_cover([new_business, change(Kind.CANCELLATION)], 1, TODAY - timedelta(days=9))
    assert not arrears.begins_no_cover([new_business, change(Kind.CANCELLATION, tomorrow)], 1, TODAY)
    assert arrears.begins_no_cover([new_business, change(Kind.CANCELLATION, tomorrow)], 1, tomorrow)
    renewed = replace(change(Kind.RENEWAL, term=2, ends=date(2029, 1, 1)), term_starts_on=ENDS_ON)
    assert not arrears.begins_no_cover([new_business, renewed], 2, TODAY)
    taken_back = change(Kind.REVERSAL, reverses=renewed.id)
    assert arrears.begins_no_cover([new_business, renewed, taken_back], 2, TODAY)
