"""Periods of the books: calendar months."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

_NAME = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Period:
    """One month."""

    starts_on: date

    @classmethod
    def parse(cls, name: str) -> Period:
        """The period of a name like `2026-11`; `ValueError` for any other text."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is no month")
        return cls(date(int(match[1]), int(match[2]), 1))

    @classmethod
    def last_ended(cls, day: date) -> Period:
        """The last period that is over on a day."""
        last = day.replace(day=1) - timedelta(days=1)
        return cls(last.replace(day=1))

    @property
    def ends_on(self) -> date:
        """The first day behind it."""
        return (self.starts_on + timedelta(days=32)).replace(day=1)

    @property
    def last_day(self) -> date:
        """Its last day, on which what is earned in it counts."""
        return self.ends_on - timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.starts_on:%Y-%m}"
