"""Moving the clock of the domain forward, step by step, to each moment for which something waits.

A step first writes the new offset into the file that all processes follow, then lets run what has fallen due. Whoever
is killed between the two leaves jobs that come late, never too early, and the file says from where to go on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from psycopg import Connection
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from bazarutod import tables
from bazarutod.connections import connected
from bazarutod.daily_kinds import daily_kinds
from bazarutod.durations import parsed_duration
from bazarutod.running import held
from bazarutod.stack import SERVICES
from libs import clock
from libs.config import Settings
from libs.jobs import advancing, operating

_LAST_MOMENT = datetime(2100, 1, 1, tzinfo=UTC)
_LOOK_EVERY = 0.03  # seconds between two looks at what still runs
_INTERRUPTED = 130  # as shells have it
_SHOWN = 10  # jobs that `clock show` lists

Databases = dict[str, Connection]


@dataclass(frozen=True, slots=True)
class Hand:
    """What the file holds: the offset, and while the clock is moved also where to and what is done already."""

    offset: timedelta = timedelta()
    target: datetime | None = None
    done_until: datetime | None = None
    """Daily kinds of the days up to here are in their queues."""

    @classmethod
    def read(cls, file: Path) -> Hand:
        """What the file holds; nothing has been moved without one."""
        offset = clock.offset_in(file)
        kept = json.loads(file.read_text()) if file.exists() else {}
        moments = {key: datetime.fromisoformat(kept[key]) for key in ("target", "done_until") if kept.get(key)}
        return cls(offset, **moments)

    def write(self, file: Path) -> None:
        """Put it into the file at once and whole, and wait until every process goes by it."""
        document = {
            clock.OFFSET: self.offset // timedelta(microseconds=1),
            "target": self.target and self.target.isoformat(),
            "done_until": self.done_until and self.done_until.isoformat(),
        }
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps(document))
        unfinished.replace(file)
        time.sleep(2 * clock.LOOK_EVERY)


class Stuck(Exception):
    """The clock cannot go on; the message says what it waits for."""


class Advance:
    """One command about the clock."""

    def __init__(self, settings: Settings, as_json: bool) -> None:
        self._settings = settings
        self._as_json = as_json
        self._file = settings.clock.file
        if settings.environment == "production":
            sys.exit("production goes by real time: its clock cannot be moved")
        clock.follow(self._file)
        self._kinds = daily_kinds()

    def show(self) -> None:
        """Print the clock, and what waits for moments of it."""
        hand, now = Hand.read(self._file), clock.now()
        with connected(self._settings, SERVICES) as databases:
            rows = [
                {"at": moment.isoformat(), "job": job}
                for moment, job in sorted(self._upcoming(databases, now))[:_SHOWN]
            ]
        document = {
            "now": now.isoformat(),
            "real_now": clock.real_now().isoformat(),
            "offset_seconds": hand.offset.total_seconds(),
            "advance": self._state(hand),
            "target": hand.target and hand.target.isoformat(),
            "upcoming": rows,
        }
        if self._as_json:
            print(json.dumps(document, indent=2))
        else:
            Console(highlight=False).print(tables.clock_of_the_domain(document), soft_wrap=True)

    def advance(self, span: str, until: str, patience: str) -> None:
        """Move the clock, or go on with moving it, and print how far it came."""
        seconds = parsed_duration(patience).total_seconds()
        with self._alone():
            start = clock.now()
            target = self._target(span, until, start)
            with connected(self._settings, SERVICES) as databases:
                self._check_workers(databases)
                before = {service: advancing.last_event(connection) for service, connection in databases.items()}
                reason = ""
                with _progress(start, target) as tell:
                    try:
                        self.move(databases, target, seconds, tell)
                    except Stuck as error:
                        reason = str(error)
                    except KeyboardInterrupt:
                        reason = "interrupted"
                ended = [
                    (f"{service}:{row.id}", row)
                    for service, connection in databases.items()
                    for row in advancing.ended_since(connection, before[service])
                ]
            self._report(start, ended, reason)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Move it by oneself: two who move it at once would each pass over what the other waits for."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with held(self._lock) as is_held:
            if not is_held:
                sys.exit("the clock is being moved already; wait until that has ended")
            yield

    @property
    def _lock(self) -> Path:
        return self._file.with_suffix(".lock")

    def _state(self, hand: Hand) -> str:
        if hand.target is None:
            return "none"
        with held(self._lock) as is_held:
            return "interrupted" if is_held else "running"

    def _target(self, span: str, until: str, now: datetime) -> datetime:
        """The moment to which the clock is to be moved."""
        hand = Hand.read(self._file)
        if span and until:
            raise typer.BadParameter("give either a span or --until")
        if until:
            target = _parsed_moment(until)
        elif span:
            target = now + min(parsed_duration(span), _LAST_MOMENT - now)
        elif hand.target is None:
            raise typer.BadParameter("say how far, 45d or --until 2027-01-01: no earlier advance was interrupted")
        else:
            target = max(hand.target, now)
        if target < now or (target == now and not hand.target):
            raise typer.BadParameter(f"it is {_text(now)} already, and time never goes back")
        if target >= _LAST_MOMENT:
            raise typer.BadParameter(f"the clock goes to {_text(_LAST_MOMENT)} at most")
        return target

    def _check_workers(self, databases: Databases) -> None:
        """Nothing that falls due is done by nobody."""
        silent_after = self._settings.jobs.stalled_after.total_seconds()
        for service, connection in databases.items():
            if not any(worker.heartbeat_seconds < silent_after for worker in operating.workers(connection)):
                sys.exit(f"no worker of {service} is at work: start the platform first, with `bazarutod up`")

    def move(self, databases: Databases, target: datetime, patience: float, tell: Any) -> None:
        """Move the clock step by step; `tell` hears where it stands. `Stuck` when no job ends for so many seconds."""
        hand = Hand.read(self._file)
        done_until = hand.done_until or clock.now()
        Hand(hand.offset, target, done_until).write(self._file)
        while True:
            now, offset = clock.now(), clock.offset()
            for service, connection in databases.items():
                advancing.shift(connection, offset)
                for kind in self._kinds[service]:
                    if (occurrence := kind.last_occurrence(now)) > done_until:
                        advancing.defer_daily(connection, kind, occurrence)
            done_until = now
            _wait_until_quiet(databases, patience)
            tell(clock.now())
            if clock.now() >= target:
                Hand(clock.offset()).write(self._file)
                return
            step = min([target, *(moment for moment, _ in self._upcoming(databases, now))])
            offset = max(clock.offset(), step - clock.real_now())
            Hand(offset, target, done_until).write(self._file)

    def _upcoming(self, databases: Databases, now: datetime) -> Iterator[tuple[datetime, str]]:
        """The moments after `now` for which jobs wait, and what is done every day."""
        for service, connection in databases.items():
            for row in advancing.upcoming(connection, _SHOWN):
                yield row.moment, row.job
            for kind in self._kinds[service]:
                yield kind.next_occurrence(now), kind.name

    def _report(self, start: datetime, ended: list[tuple[str, advancing.Ended]], reason: str) -> None:
        now = clock.now()
        failed = [name for name, row in ended if row.outcome == "failed"]
        document = {
            "from": start.isoformat(),
            "now": now.isoformat(),
            "offset_seconds": clock.offset().total_seconds(),
            "jobs": {"succeeded": len(ended) - len(failed), "failed": failed},
            "stopped_by": reason,
        }
        if self._as_json:
            print(json.dumps(document, indent=2))
        else:
            print(f"From {_text(start)} to {_text(now)}: {len(ended) - len(failed)} jobs succeeded.")
            if failed:
                print(
                    f"{len(failed)} jobs failed for good; look at them with `bazarutod jobs show`: {', '.join(failed)}"
                )
        if reason:
            print(f"The clock stands at {_text(now)}: {reason}. Go on with `bazarutod clock advance`.", file=sys.stderr)
            sys.exit(_INTERRUPTED if reason == "interrupted" else 1)


def _wait_until_quiet(databases: Databases, patience: float) -> None:
    """Wait until no service has a job to do. `Stuck` when none ends for too long.

    A job of one service makes jobs of another, behind the back of a single look. So nothing may have happened to any
    job between two looks that both saw none.
    """
    events: dict[str, int] = {}
    deadline = time.monotonic() + patience
    while True:
        before, events = events, {}
        waiting: list[str] = []
        for service, connection in databases.items():
            waiting += [_why(service, job) for job in advancing.unfinished(connection)]
            events[service] = advancing.last_event(connection)
        if events != before:
            deadline = time.monotonic() + patience
        elif not waiting:
            return
        elif time.monotonic() > deadline:
            more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
            raise Stuck(", ".join(waiting[:3]) + more)
        time.sleep(_LOOK_EVERY if waiting else 0)


def _why(service: str, job: advancing.Unfinished) -> str:
    if job.is_doing:
        state = "still runs"
    elif job.is_paused:
        state = "waits in a paused queue"
    elif job.attempts:
        state = f"failed {job.attempts} times and waits to be tried again"
    else:
        state = "waits for a worker"
    return f"{service}:{job.id} {job.job} {state}"


@contextmanager
def _progress(start: datetime, target: datetime) -> Iterator[Any]:
    """Tell where the clock stands: as a bar on a terminal, and not at all elsewhere."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(_text(start), total=(target - start).total_seconds() or 1)
        yield lambda now: progress.update(bar, description=_text(now), completed=(now - start).total_seconds())


def _parsed_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a day such as 2027-01-01 nor a moment") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
