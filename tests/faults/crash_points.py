"""The places where a process may die between two effects, as the program itself shows them.

A crash point is where the outside can tell whether the process got there: just before a commit, just after it, and
just after the answer of a neighbour that committed something. They are not kept in a list that somebody has to think
of: `CrashPoints` sees them go by while a flow runs, and each is named by the line of the source that begins the
transaction or calls the neighbour. A step that is added is one more point.

It is the tests alone that put this around the database; the programs know nothing of it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db import Database
from libs.rpc import client
from libs.rpc.interceptors import Chain
from tests.faults.sites import ROOT, Site, sites_in

_PROGRAM = f"{ROOT}/"
_WROTE = sa.text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")


class Killed(BaseException):
    """The process ends here: nothing that follows is done, no error is handled."""


@dataclass(frozen=True)
class Point:
    """A crash point: a site, and on which side of its effect."""

    site: Site
    moment: str

    def __str__(self) -> str:
        return f"{self.moment} of {self.site}"


@dataclass
class Step:
    """A call or a job of a flow, with the crash points that it passes."""

    name: str
    points: list[Point] = field(default_factory=list)
    """Of the attempt that passed most."""
    killed_at: tuple[int, Point] | None = None


Kill = Callable[[str, int], bool]
"""Whether to kill in the step of a name, at the point of that number, counted from 0."""


class CrashPoints:
    """Sees the crash points that are passed, and kills at some of them: in each step once."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.kills = 0
        self.is_watching = False
        self._kill: Kill = lambda step, number: False
        self._by_key: dict[object, Step] = {}
        self._current: Step | None = None
        self._attempt: list[Point] = []
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, kill: Kill = lambda step, number: False) -> Iterator[None]:
        """Within, note what is passed, and kill where `kill` says so."""
        self.steps, self._by_key, self._kill, self.is_watching = [], {}, kill, True
        try:
            yield
        finally:
            self.is_watching = False

    @contextmanager
    def step(self, key: object, name: str) -> Iterator[None]:
        """Within, one attempt of a step is made; `key` is the same for all attempts of it."""
        if key not in self._by_key:
            number = 1 + sum(step.name.partition(" ")[0] == name for step in self.steps)
            self._by_key[key] = Step(f"{name} {number}" if number > 1 else name)
            self.steps.append(self._by_key[key])
        self._current, self._attempt = self._by_key[key], []
        try:
            yield
        finally:
            self._current.points = max(self._current.points, self._attempt, key=len)
            self._current = None

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Look on at every transaction and every call to a neighbour of this process."""
        begin, call, steps = Database.transaction, client._Outgoing.intercept_unary_unary, Chain._steps

        @contextmanager
        def transaction(database: Database) -> Iterator[Session]:
            if isinstance(sys.exc_info()[1], Killed):
                raise Killed  # a dead process cleans nothing up
            site = _site_of(sys._getframe())
            with self._dying(), begin(database) as session:
                yield session
                has_written = site is not None and self.is_watching and bool(session.scalar(_WROTE))
                if has_written:
                    self._pass(site, "before the commit", session)
            if has_written:
                self._pass(site, "after the commit", None)

        def intercept(outgoing: Any, continuation: Any, details: Any, request: Any) -> Any:
            site, before = _site_of(sys._getframe()), len(self._attempt)
            answer = call(outgoing, continuation, details, request)
            if len(self._attempt) > before:
                self._pass(site, f"after the answer to {details.method.rpartition('/')[2]}", None)
            return answer

        def answering(chain: Chain, *about: Any) -> Any:
            step = steps(chain, *about)

            def serve(request: Any, context: Any) -> Any:
                try:
                    return step(request, context)
                except Killed:
                    raise ConnectionResetError from None  # all that a caller sees of it

            return serve

        patch.setattr(Database, "transaction", transaction)
        patch.setattr(client._Outgoing, "intercept_unary_unary", intercept)
        patch.setattr(Chain, "_steps", answering)

    @contextmanager
    def _dying(self) -> Iterator[None]:
        """Whoever is killed within hears nothing of the connection that is gone."""
        try:
            yield
        except Exception as error:
            if _is_of_dead(error):
                raise Killed from None
            raise

    def _pass(self, site: Site | None, moment: str, session: Session | None) -> None:
        step = self._current
        if site is None or step is None or not self.is_watching:
            return
        with self._lock:
            point = Point(site, moment)
            self._attempt.append(point)
            number = len(self._attempt) - 1
            is_last = step.killed_at is None and self._kill(step.name, number)
            if is_last:
                step.killed_at, self.kills = (number, point), self.kills + 1
        if is_last:
            die(session)


def die(session: Session | None) -> None:
    """End as a killed process would, as far as the database is concerned: the connection is gone, nothing is said."""
    if session is not None:
        session.connection().connection.driver_connection.pgconn.finish()  # type: ignore[union-attr]
    raise Killed


def _is_of_dead(error: BaseException | None) -> bool:
    """Whether an error came up while a dead process let go of its connection."""
    while error is not None:
        if isinstance(error, Killed):
            return True
        error = error.__context__
    return False


def _site_of(frame: FrameType | None) -> Site | None:
    """Where the program begins what goes on: the first line of a service above, or of what runs nightly."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_PROGRAM):
            path = file[len(_PROGRAM) :]
            if path == "libs/db/__init__.py" and frame.f_code.co_name == "snapshot":
                return None
            if site := sites_in(path).get(frame.f_lineno):
                return site
        frame = frame.f_back
    return None
