"""Days and terms: what day it is where a contract is, when days begin there, and the same day in another month.

Days are half-open: cover for a day lasts from its first moment until the first moment of the next one.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


def day_of(moment: datetime, time_zone: str) -> date:
    """The day that a moment is part of in a time zone. The calendar ends with its last day in UTC, and so begins."""
    try:
        return moment.astimezone(ZoneInfo(time_zone)).date()
    except OverflowError:
        return moment.date()


def start_of(day: date, time_zone: str) -> datetime:
    """The first moment of a day in a time zone, in UTC."""
    return datetime.combine(day, time.min, ZoneInfo(time_zone)).astimezone(UTC)


def months_after(day: date, months: int) -> date:
    """The same day some months later, or the last day of that month where it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def year_after(day: date) -> date:
    """The first day after a term of one year.

    A year that starts on 29 February ends on 1 March, so that it never has fewer days than other years.
    """
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return date(day.year + 1, 3, 1)
