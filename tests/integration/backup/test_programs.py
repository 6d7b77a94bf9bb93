"""PostgreSQL's programs, started and ended: what breaks off is not committed, and nothing is left running."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from bazarutod.backup import fingerprint, programs

_OPTIONS = ("-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "--no-password")


@pytest.fixture
def url(make_database: Callable[[str], str]) -> str:
    """The URL of a database."""
    return make_database("payments")


def _broken_off() -> Iterator[bytes]:
    yield b"CREATE TABLE half (n int);\n"
    raise OSError("the disk cannot be read")


def test_statements_that_break_off_are_not_committed(url: str) -> None:
    with pytest.raises(OSError, match="cannot be read"):
        programs.feed(programs.program("psql"), *_OPTIONS, url=url, content=_broken_off(), failure="failed")
    with psycopg.connect(url) as connection:
        assert fingerprint.single(connection, "SELECT to_regclass('half')") == (None,)


def test_statements_that_are_whole_are_committed(url: str) -> None:
    statements = (b"CREATE TABLE whole (n int);\n", b"INSERT INTO whole VALUES (1);\n")
    programs.feed(programs.program("psql"), *_OPTIONS, url=url, content=statements, failure="failed")
    with psycopg.connect(url) as connection:
        assert fingerprint.single(connection, "SELECT n FROM whole") == (1,)


def test_program_that_refuses_its_input_is_told_as_failed(url: str) -> None:
    statements = (b"no statement;\n", *[b"SELECT 1;\n" * 10_000] * 100)
    with pytest.raises(programs.ProgramFailed, match="failed") as failed:
        programs.feed(programs.program("psql"), *_OPTIONS, url=url, content=statements, failure="failed")
    assert failed.value.code == 3


def test_program_whose_output_is_not_read_to_its_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = tmp_path / "endless"
    script.write_text("#!/bin/sh\nsleep 600 &\necho $!\nwait\n")
    script.chmod(0o755)
    with suppress(ValueError), programs.output(script, failure="failed") as stream:
        started = int(stream.readline())
        raise ValueError
    deadline = time.monotonic() + 10
    while _runs(started):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"
