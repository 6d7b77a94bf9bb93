"""What a delinquency that payments told of means for cover."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest

from libs.calendar import start_of
from libs.money import Money
from services.policies.lifecycle.rules.delinquency import Delinquency, Standing, is_newer

ZONE = "Africa/Maputo"
# T72: thirty days from a due date.
DUE, GRACE_ENDS = date(2025, 2, 1), date(2025, 3, 3)


def delinquency(standing: Standing, version: int = 1, grace_ends_on: date | None = GRACE_ENDS) -> Delinquency:
    return Delinquency(UUID(int=1), version, standing, Money(11900, "EUR"), DUE, grace_ends_on)


def test_only_a_higher_version_is_newer() -> None:
    known = delinquency(Standing.IN_GRACE, version=3)
    assert [is_newer(version, known) for version in (2, 3, 4)] == [False, False, True]
    assert is_newer(1, None)


@pytest.mark.parametrize("standing", Standing)
def test_cover_is_unclear_from_the_end_of_grace_while_nobody_says_how_it_ended(standing: Standing) -> None:
    moment, instant = start_of(GRACE_ENDS, ZONE), timedelta(microseconds=1)
    is_waiting = standing in (Standing.IN_GRACE, Standing.LAPSING)
    assert delinquency(standing).leaves_unclear(moment, ZONE) is is_waiting
    assert not delinquency(standing).leaves_unclear(moment - instant, ZONE)


def test_cover_without_grace_is_never_unclear() -> None:
    past_due = delinquency(Standing.PAST_DUE, grace_ends_on=None)
    assert not past_due.leaves_unclear(start_of(GRACE_ENDS, ZONE), ZONE)


def test_delinquency_is_over_when_it_is_settled_or_lapsed() -> None:
    assert [standing for standing in Standing if not delinquency(standing).is_open] == [
        Standing.LAPSED,
        Standing.SETTLED,
    ]
