"""A PostgreSQL server that a test may stop, start and freeze, because nobody else uses it."""

from __future__ import annotations

import itertools
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

import services.users
from bazarutod import embedded
from libs.db import migrations

_TEMPLATE = "template_users"


class StoppableServer:
    """The server, with a template that every test gets a copy of."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bazaruto-stoppable-"))
        self.folder.chmod(0o711)  # as root, the server runs as another user
        self._numbers = itertools.count()
        self._server = embedded.start(self.folder / "pg", throwaway=True)
        self._create(_TEMPLATE, "template1")
        migrations.upgrade(self.url(_TEMPLATE), services.users)

    def url(self, database: str, role: str = "postgres", password: str = "") -> str:
        """The URL of one database."""
        return self._server.url(database, role, password)

    def new_database(self, template: str = _TEMPLATE) -> str:
        """The URL of a fresh database, with the tables of users."""
        name = f"test_{next(self._numbers)}"
        self._create(name, template)
        return self.url(name)

    @contextmanager
    def taken_out(self, url: str) -> Iterator[None]:
        """A database does not exist within, and afterwards there is a fresh one, as when it is restored."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())
        try:
            yield
        finally:
            self._create(name, _TEMPLATE)

    def require_passwords(self, role: str, password: str) -> None:
        """Make a role that must give its password."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
            rules = self._server.folder / "pg_hba.conf"
            rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
            connection.execute("SELECT pg_reload_conf()")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It is not there within, and afterwards it is back where it was."""
        self._server.stop()
        try:
            yield
        finally:
            embedded.start(self.folder / "pg", throwaway=True, options=(f"port={self._server.port}",))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds its connections within, and does nothing."""
        pid = int((self._server.folder / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(pid)
        postmaster.send_signal(signal.SIGSTOP)  # first, so that no more processes come
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes[1:]:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good."""
        self._server.stop()
        shutil.rmtree(self._server.folder, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self, name: str, template: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'.encode())
