"""The places where a process may die between two effects, as the program itself shows them.

A crash point is where the outside can tell whether the process got there: just before a commit, just after it, and
just after the answer of a neighbour that committed something. They are not kept in a list that somebody has to think
of: `CrashPoints` sees them go by while a flow runs, and each is named by the line of the source that begins the
transaction or calls the neighbour. A step that is added is one more point.

It is the tests alone that put this around the database; the programs know nothing of it.
"""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from libs.db import Database
from libs.rpc import client
from libs.rpc.interceptors import Chain

ROOT = Path(__file__).parents[2]
_NEIGHBOURS = {"_policies", "_payments", "_quotes", "_users"}
_WROTE = sa.text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")


class Killed(BaseException):
    """The process ends here: nothing that follows is done, no error is handled."""


@dataclass(frozen=True, order=True)
class Site:
    """A line of the program that begins a transaction or calls a neighbour."""

    file: str
    function: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


@dataclass(frozen=True)
class Point:
    """A crash point: a site, and on which side of its effect."""

    site: Site
    moment: str

    def __str__(self) -> str:
        return f"{self.moment} of {self.site}"


class CrashPoints:
    """Sees the crash points that are passed, and kills at one of them."""

    def __init__(self) -> None:
        self.passed: list[Point] = []
        self.killed_at: Point | None = None
        self._kill_at: int | None = None
        self.is_watching = False
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, kill_at: int | None = None) -> Iterator[None]:
        """Within, note what is passed; kill at the point of that number, counted from 0."""
        self.passed, self.killed_at, self._kill_at, self.is_watching = [], None, kill_at, True
        try:
            yield
        finally:
            self.is_watching = False

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
            site, before = _site_of(sys._getframe()), len(self.passed)
            answer = call(outgoing, continuation, details, request)
            if len(self.passed) > before:
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
        if site is None or not self.is_watching:
            return
        with self._lock:
            self.passed.append(Point(site, moment))
            is_last = self._kill_at is not None and len(self.passed) - 1 == self._kill_at
            if is_last:
                self.killed_at, self._kill_at = self.passed[-1], None
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
        if file.startswith(str(ROOT)):
            path = str(Path(file).relative_to(ROOT))
            if path == "libs/db/__init__.py" and frame.f_code.co_name == "snapshot":
                return None
            line = frame.f_lineno
            if site := next((item for item in _sites_in(path) if item.line == line), None):
                return site
        frame = frame.f_back
    return None


NIGHTLY = "libs/jobs/nightly.py"


@cache
def _sites_in(path: str) -> Sequence[Site]:
    if path != NIGHTLY and (not path.startswith("services/") or "/clients" in path):
        return ()
    sites: list[Site] = []

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            function = f"{function}.{node.name}".strip(".")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_site(node.func):
            sites.append(Site(path, function, node.func.end_lineno or node.lineno))
        for child in ast.iter_child_nodes(node):
            look(child, function)

    look(ast.parse((ROOT / path).read_text()), "")
    return sites


def _is_site(called: ast.Attribute) -> bool:
    """Whether what is called is `….transaction()`, or a method of a neighbour's client."""
    owner = called.value
    if called.attr == "transaction":
        return True
    return isinstance(owner, ast.Attribute) and owner.attr in _NEIGHBOURS and not isinstance(called.ctx, ast.Store)
