"""`bazarutod simulate`: a book of policies through some months, proved at the end of each, and reported."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bazarutod.advance import Stuck
from bazarutod.embedded import EmbeddedError
from bazarutod.provisioning import RedisNotStarted
from bazarutod.simulate import tables
from bazarutod.simulate.calling import Broken, Refused
from bazarutod.simulate.changing import PreviewDiffers
from bazarutod.simulate.page import page_of
from bazarutod.simulate.proving import Violated
from bazarutod.simulate.world import world
from bazarutod.simulate.year import Year, day_after, noon
from bazarutod.supervisor import StartError
from libs import clock

_INTERRUPTED = 130  # as shells have it


class Interrupted(Exception):
    """Somebody wants it to end."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to simulate, and what to make of it."""

    policies: int
    months: int
    seed: int
    begins: str
    html: Path | None
    keep: Path | None
    as_json: bool


def run(wish: Wish) -> None:
    """Simulate, print the report, and end with 1 when something was not as it always has to be."""
    began, first_day, wrong = time.monotonic(), _first_day(wish.begins), ""
    with _stopping() as check, _progress(first_day, wish.months) as tell, _folder(wish.keep) as folder:
        year = Year(wish.policies, wish.months, wish.seed, first_day, tell, check)
        try:
            with world(folder, noon(first_day), lambda step: tell(None, step), check) as running:
                year.run(running)
        except Interrupted:
            wrong = "interrupted"
        except (Violated, PreviewDiffers) as error:
            wrong = str(error)
        except (Broken, Refused, Stuck, StartError, EmbeddedError, RedisNotStarted) as error:
            wrong = f"the platform failed: {error}"
    document = _document(wish, first_day, year, wrong, time.monotonic() - began)
    _report(wish, document, year)
    if wrong == "interrupted":
        sys.exit(_INTERRUPTED)
    if wrong:
        sys.exit(f"seed {wish.seed}: {wrong}")


def _document(wish: Wish, first_day: date, year: Year, wrong: str, seconds: float) -> dict[str, Any]:
    refused = sorted(year.book.refused.items())
    return {
        "policies": wish.policies,
        "months": wish.months,
        "seed": wish.seed,
        "first_day": first_day.isoformat(),
        "wrong": wrong,
        "seconds": {
            "all": round(seconds, 1),
            **{what: round(took, 1) for what, took in year.seconds.items()},
        },
        "by_month": [month.as_json() for month in year.figures.months],
        "done": dict(sorted(year.book.done.items())),
        "refused": [{"deed": deed, "reason": reason, "times": times} for (deed, reason), times in refused],
    }


def _report(wish: Wish, document: dict[str, Any], year: Year) -> None:
    if wish.html:
        wish.html.write_text(page_of(document, year.figures.months), encoding="utf-8")
    if wish.as_json:
        print(json.dumps(document, indent=2))
    else:
        console = Console(highlight=False)
        for table in tables.all_of(year.figures.months):
            console.print(table)
        console.print(tables.of_deeds(year.book.done, year.book.refused))
        proved, took = len(year.figures.months), document["seconds"]["all"]
        console.print(f"{len(year.book.held)} policies, seed {wish.seed}, {proved} months proved in {took:.0f} s.")


def _first_day(text: str) -> date:
    """The day that is meant; without one, the first day of the next month."""
    today = clock.real_now().date()
    day = date.fromisoformat(text) if text else day_after(today, 1)
    if day <= today or day.day != 1:
        sys.exit(f"{day} is no first day of a month that is to come")
    return day


@contextmanager
def _stopping() -> Iterator[Callable[[], None]]:
    """Signals are looked at between two steps: a process that is just being started would stay behind otherwise."""
    signals: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda got, _: signals.append(got))

    def check() -> None:
        if signals:
            raise Interrupted

    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the platform lies: gone afterwards, unless it is to be kept."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            sys.exit(f"{keep} is not empty")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-simulate-"))
    folder.chmod(0o711)  # as root, PostgreSQL runs as another user
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _progress(first_day: date, months: int) -> Iterator[Callable[[date | None, str], None]]:
    """The day and what is done, as a bar on a terminal, and as a line for each month elsewhere."""
    console = Console(stderr=True, highlight=False)
    days = (day_after(first_day, months) - first_day).days
    columns = (TextColumn("{task.fields[day]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=days, day="")
        said: set[str] = set()

        def tell(day: date | None, text: str) -> None:
            if day is not None:
                progress.update(bar, description=text, day=str(day), completed=(day - first_day).days)
            else:
                progress.update(bar, description=text)
            step = f"{day:%Y-%m}" if day else text
            if not console.is_terminal and step not in said:
                said.add(step)
                console.print(f"{step}: {text}" if day else text)

        yield tell
