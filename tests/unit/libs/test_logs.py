"""Lines of the log: what they show of people, from which level on, and where they go."""

from __future__ import annotations

import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from libs.telemetry import stderr
from libs.telemetry.logs import Levels, shown_email
from libs.telemetry.sink import Sink, SinkLogger


@pytest.mark.parametrize(
    ("rule", "shown"),
    [("full", "ana.sitoe@example.com"), ("masked", "a***@example.com"), ("hidden", "***")],
)
def test_email_is_shown_as_the_setting_says(rule: str, shown: str) -> None:
    assert shown_email("ana.sitoe@example.com", rule) == shown


@pytest.mark.parametrize("text", ["", "no address", "\0"])
def test_what_is_no_address_is_hidden_whole(text: str) -> None:
    assert shown_email(text, "masked") == "***"


def _told(levels: Levels) -> tuple[list[str], Any]:
    lines: list[str] = []

    class Collect:
        def __getattr__(self, name: str) -> Any:
            return lines.append

    logger: Any = structlog.wrap_logger(
        Collect(), processors=[lambda _logger, _method, event: event["event"]], wrapper_class=levels.logger_class
    ).bind()
    return lines, logger


@pytest.fixture
def levels() -> Any:
    before = logging.getLogger().level
    yield Levels(logging.INFO)
    logging.getLogger().setLevel(before)


def test_debugging_goes_on_and_off_while_the_process_runs(levels: Levels) -> None:
    lines, log = _told(levels)
    log.debug("one")
    levels.set(logging.DEBUG)
    log.debug("two")
    levels.set(logging.INFO)
    log.debug("three")
    log.info("four")
    assert lines == ["two", "four"]


def test_process_that_debugs_by_configuration_stops_when_asked() -> None:
    before = logging.getLogger().level
    levels = Levels(logging.DEBUG)
    levels.toggle()
    assert levels.now == logging.INFO
    levels.toggle()
    assert levels.now == logging.DEBUG
    logging.getLogger().setLevel(before)


def test_lines_go_on_in_a_new_file_after_the_old_one_was_moved(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    sink = Sink(str(path))
    sink.append("before")
    sink.flush()
    path.rename(tmp_path / "app.log.1")
    sink.append("between")
    sink.flush()
    sink.reopen()
    SinkLogger(sink).error("after")  # an error is there at once
    assert (tmp_path / "app.log.1").read_text() == "before\nbetween\n"
    assert path.read_text() == "after\n"


def test_log_that_cannot_be_opened_anew_goes_on_in_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = Sink(str(folder / "app.log"))
    folder.rename(tmp_path / "moved")
    sink.reopen()
    sink.append("still here")
    sink.flush()
    assert (tmp_path / "moved" / "app.log").read_text() == "still here\n"


def test_file_that_cannot_be_written_is_told_and_replaced(tmp_path: Path) -> None:
    sink = Sink(str(tmp_path / "no such folder" / "app.log"))
    assert sink.refused == os.strerror(errno.ENOENT)


def test_full_disk_loses_lines_counts_them_and_does_not_stop_the_caller() -> None:
    def lost() -> float:
        return REGISTRY.get_sample_value("bazaruto_log_lines_lost_total") or 0.0

    before = lost()
    sink = Sink("/dev/full")
    sink.append("one")
    sink.append("two")
    sink.flush()
    assert lost() - before == 2


def test_line_after_a_torn_one_begins_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "app.log"
    sink = Sink(str(path))
    write = os.write
    answers: list[Any] = [lambda file, chunk: write(file, chunk[:5]), OSError(errno.ENOSPC, "full")]

    def scarce(file: int, chunk: bytes) -> int:
        if not answers:
            return write(file, chunk)
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return int(answer(file, chunk))

    monkeypatch.setattr(os, "write", scarce)
    SinkLogger(sink).error(json.dumps({"message": "torn"}))
    SinkLogger(sink).error(json.dumps({"message": "whole"}))
    assert path.read_text().splitlines()[-1] == '{"message": "whole"}'


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("I0000 00:00:1700000000.1 1 server.cc:1] started", logging.INFO),
        ("W0000 00:00:1700000000.1 1 server.cc:1] odd", logging.WARNING),
        ("E0000 00:00:1700000000.1 1 server.cc:1] broken", logging.ERROR),
        ("Was there a fault?", logging.ERROR),
    ],
)
def test_what_libraries_print_keeps_its_level(text: str, level: int) -> None:
    assert stderr.level_of(text) == level
