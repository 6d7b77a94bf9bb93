"""The days of a simulation, one after another, and the proof at the end of each month."""

from __future__ import annotations

import time as stopwatch
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from bazarutod.simulate import buying, changing
from bazarutod.simulate.book import Book
from bazarutod.simulate.figures import Figures
from bazarutod.simulate.lives import Life, Paying, lives_of
from bazarutod.simulate.proving import prove
from bazarutod.simulate.world import World

_NOON = time(12, tzinfo=UTC)  # by then what is done nightly is over, and it is the same day in all time zones


def noon(day: date) -> datetime:
    """The moment of a day at which people act."""
    return datetime.combine(day, _NOON)


def day_after(first_day: date, months: int) -> date:
    """The first day of the month that comes so many months after that of the first day."""
    years, month = divmod(first_day.month - 1 + months, 12)
    return date(first_day.year + years, month + 1, 1)


@dataclass
class Year:
    """A simulation from its first day to the end of its last month. `tell` hears of the day, `check` may break off."""

    policies: int
    months: int
    seed: int
    first_day: date
    tell: Callable[[date, str], None]
    check: Callable[[], None]
    figures: Figures = field(default_factory=Figures)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """What took how long: `moving` the clock, `living`, `proving`."""
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(self.first_day)

    def run(self, world: World) -> None:
        """Go through all days. `Violated` when something is not true, `Broken` when the platform fails."""
        purchases: defaultdict[int, list[Life]] = defaultdict(list)
        for life in lives_of(self.policies, self.months, self.seed):
            purchases[life.bought_on].append(life)
        last_day = day_after(self.first_day, self.months)
        for number in range((last_day - self.first_day).days + 1):
            day = self.book.date(number)
            with self._timed("moving"):
                world.go_to(noon(day), self._tell_moment)
            if day.day == 1 and number:
                with self._timed("proving"):
                    balance = prove(self.book, world)
                    self.figures.add(f"{day - timedelta(days=1):%Y-%m}", day, balance, world.staff)
            if day < last_day:
                with self._timed("living"):
                    self._live(world, day, number, purchases[number])

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = stopwatch.monotonic()
        try:
            yield
        finally:
            self.seconds[what] += stopwatch.monotonic() - began

    def _live(self, world: World, day: date, number: int, purchases: list[Life]) -> None:
        book, staff = self.book, world.staff
        for life in purchases:
            self.check()
            buying.buy(book, world.http, staff, life, day)
            self.tell(day, self._count())
        for held in book.held.values():
            life = held.life
            if held.method_id and number == life.bought_on + 1:
                buying.collect_automatically(book, held)
            if (
                life.paying is Paying.FAILING
                and not held.is_failing
                and number == max(life.trouble_on, life.bought_on + 2)
            ):
                buying.fail(book, held)
        buying.note_bills(book, staff, day)
        changing.note_lapses(book, staff, day)
        for held, invoice_id in book.bills.pop(day, []):
            self.check()
            buying.pay(book, held, invoice_id)
        for held, is_to_be_paid in book.restorations.pop(day, []):
            self.check()
            changing.restore(book, staff, held, is_to_be_paid=is_to_be_paid)
        for held in list(book.held.values()):
            for event in held.life.events:
                if event.day == number:
                    self.check()
                    changing.do(book, staff, held, event, day)

    def _tell_moment(self, moment: datetime) -> None:
        self.check()
        self.tell(moment.date(), self._count())

    def _count(self) -> str:
        return f"{len(self.book.held)} policies, {sum(self.book.done.values())} deeds"
