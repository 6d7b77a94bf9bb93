"""Days of the calendar where a contract is."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from libs.calendar import day_of


@pytest.mark.parametrize(
    ("moment", "time_zone", "day"),
    [
        (datetime(2026, 12, 1, 22, 30, tzinfo=UTC), "Africa/Maputo", date(2026, 12, 2)),
        (datetime(2026, 12, 1, 2, 0, tzinfo=UTC), "America/Lima", date(2026, 11, 30)),
        (datetime(1, 1, 1, tzinfo=UTC), "Europe/Lisbon", date.min),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "Africa/Maputo", date.max),
    ],
)
def test_every_moment_has_a_day_in_every_time_zone(moment: datetime, time_zone: str, day: date) -> None:
    assert day_of(moment, time_zone) == day
