"""The recovery drill: lose everything on a server of its own, and get it back to a moment.

A base backup and an increment on it, an archive of the log, rows written before the moment and after it, a table
dropped by mistake, a server killed and its folder deleted. What comes back must have the rows, checksums and trial
balance of the moment, and nothing later. It shows that recovery works and how long it takes, and touches no other
server.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
import psycopg

from bazarutod import embedded
from bazarutod.backup import BackupError, Tell, base_backups, books, fingerprint, recovery
from bazarutod.backup.fingerprint import Fingerprint
from bazarutod.backup.settings import Settings

_PATIENCE = 120.0  # seconds for the archive, and for the log to be replayed
_BEFORE, _AFTER = "written before the moment", "written after the moment"


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, and how long it took."""

    name: str
    seconds: float
    detail: str
    recovers: bool  # whether it is a part of getting the data back


@dataclass
class Report:
    """What a drill has shown."""

    rows: int = 0
    moment: str = ""
    steps: list[Step] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recovery_seconds(self) -> float:
        """From the loss to a server that is checked and takes writes."""
        return sum(step.seconds for step in self.steps if step.recovers)

    @property
    def seconds(self) -> float:
        """All steps."""
        return sum(step.seconds for step in self.steps)


class Drill:
    """One drill, in a folder that is gone afterwards."""

    def __init__(self, folder: Path, rows: int, tell: Tell) -> None:
        self._journals = max(rows // 3, 2)
        self._in_base, self._in_increment = self._journals // 2, self._journals * 3 // 4  # the rest is in the log
        self._tell = tell
        self._data, self._restored = folder / "pg", folder / "restored"
        self._archive = folder / "archive"
        self._base, self._increment = folder / "base", folder / "increment"
        self._expected = Fingerprint(tables={}, sequences={}, trial_balance={})
        self.report = Report()
        self.servers: list[embedded.Server] = []

    def run(self) -> Report:
        """Do every step. `BackupError` when one cannot be done; what differs at the end is in the report."""
        self._step("start a server that archives its log", self._start)
        self._step("write the first half", self._fill)
        self._step("take and verify a base backup", self._back_up)
        self._step("write on, take and verify an increment", self._back_up_increment)
        self._step("write the rest, note the moment, write on, drop a table", self._write_on)
        self._step("lose the server and its folder", self._destroy)
        self._step("unpack, verify and combine both", self._unpack, recovers=True)
        self._step("replay the log up to the moment", self._replay, recovers=True)
        self._step("compare rows, checksums and the trial balance", self._compare, recovers=True)
        return self.report

    def _step(self, name: str, do: Callable[[], str], *, recovers: bool = False) -> None:
        self._tell(name.capitalize())
        started = time.perf_counter()
        detail = do()
        self.report.steps.append(Step(name, time.perf_counter() - started, detail, recovers))

    def _start(self) -> str:
        self._archive.mkdir()
        embedded.give_to_server(self._archive)
        # Under another name first: a server that dies while it copies must not leave half a file under the right one.
        there = shlex.quote(str(self._archive))
        command = f"test ! -f {there}/%f && cp %p {there}/.%f && mv {there}/.%f {there}/%f"
        options = ("archive_mode=on", "summarize_wal=on", "max_wal_size=4GB", shlex.quote(f"archive_command={command}"))
        server = embedded.start(self._data, options=options)
        self.servers.append(server)
        with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {books.DATABASE} LOGIN")
            connection.execute(f"CREATE DATABASE {books.DATABASE} OWNER {books.DATABASE}")
        books.make_tables(server.url(books.DATABASE))
        return f"PostgreSQL on port {server.port}"

    def _fill(self) -> str:
        self._book(1, self._in_base)
        return f"{self._in_base * 3:,} rows"

    def _back_up(self) -> str:
        return self._copy(self._base)

    def _back_up_increment(self) -> str:
        self._book(self._in_base + 1, self._in_increment)
        return self._copy(self._increment, self._base / base_backups.MANIFEST)

    def _copy(self, folder: Path, parent_manifest: Path | None = None) -> str:
        base_backups.take(self.servers[0].url("postgres"), folder, parent_manifest)
        base_backups.verify(folder, folder.with_name("unpacked"))
        size = sum(file.stat().st_size for file in folder.iterdir())
        return f"{size / 1e6:,.0f} MB"

    def _write_on(self) -> str:
        last = self._journals
        self._book(self._in_increment + 1, last)
        self._book(last + 1, last + 100, _BEFORE)
        with self._connection(self.servers[0]) as connection:
            moment: datetime = fingerprint.single(connection, "SELECT clock_timestamp()")[0]
            self.report.moment = moment.isoformat()
        with self._connection(self.servers[0]) as connection, connection.transaction():
            self._expected = fingerprint.take(connection)
        self.report.rows = self._expected.rows
        self._book(last + 101, last + 200, _AFTER)
        with self._connection(self.servers[0]) as connection:
            books.drop_postings(connection)
            last_file = fingerprint.single(connection, "SELECT pg_walfile_name(pg_switch_wal())")[0]
            _until(lambda: _archived(connection, last_file), "the log was not archived")
        return f"the moment is {moment:%H:%M:%S.%f}"

    def _destroy(self) -> str:
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)  # as a crash: nothing more is written or archived
        _until(lambda: not _runs(pid), "the server did not die")
        self.servers.clear()
        shutil.rmtree(self._data)
        return f"{self._data} is gone"

    def _unpack(self) -> str:
        recovery.assemble(Settings(), (self._base, self._increment), self._restored)
        return "every file is what the manifests say"

    def _replay(self) -> str:
        recovery.configure(self._restored, self._archive, self.report.moment)
        embedded.give_to_server(self._restored)
        server = embedded.start(self._restored)
        self.servers.append(server)
        with self._connection(server) as connection:
            _until(lambda: _writable(connection), "the log was not replayed in time")
        return f"{len(list(self._archive.iterdir()))} files of the log in the archive"

    def _compare(self) -> str:
        with self._connection(self.servers[0]) as connection, connection.transaction():
            restored = fingerprint.take(connection)
            rules = books.other_rules(connection)
        self.report.wrong = fingerprint.differences(self._expected, restored) + restored.unbalanced()
        if _BEFORE not in rules:
            self.report.wrong.append("what was written before the moment is lost")
        if _AFTER in rules:
            self.report.wrong.append("what was written after the moment is there")
        same = f"{restored.rows:,} rows, {', '.join(restored.trial_balance)}: all the same"
        return "; ".join(self.report.wrong) or same

    def _book(self, first: int, last: int, rule: str = books.DRILL) -> None:
        with self._connection(self.servers[0]) as connection:
            books.book(connection, first, last, rule)

    @staticmethod
    def _connection(server: embedded.Server) -> psycopg.Connection:
        return psycopg.connect(server.url(books.DATABASE), autocommit=True)


def run(rows: int, tell: Tell, parent: Path | None = None) -> Report:
    """Run a drill with that many rows, in a new folder under `parent` (the system's for temporary files)."""
    with _folder(parent) as folder:
        drill = Drill(folder, rows, tell)
        try:
            return drill.run()
        except (psycopg.Error, OSError, embedded.EmbeddedError) as error:
            raise BackupError(f"the drill stopped: {error}") from error
        finally:
            for server in drill.servers:
                with suppress(embedded.EmbeddedError):
                    server.stop()


@contextmanager
def _folder(parent: Path | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bazaruto-drill-", dir=parent))
    folder.chmod(0o711)  # as root, the server runs as another user
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _archived(connection: psycopg.Connection, name: str) -> bool:
    row = connection.execute(
        "SELECT last_archived_wal >= %s, last_failed_wal FROM pg_stat_archiver", (name,)
    ).fetchone()
    if row and row[1]:
        raise BackupError(f"the server could not archive {row[1]}")
    return bool(row and row[0])


def _writable(connection: psycopg.Connection) -> bool:
    return connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise BackupError(otherwise)
        time.sleep(0.05)
