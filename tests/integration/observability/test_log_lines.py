"""What a real process logs: JSON only, whatever says it; a level and a file that change while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.version import VERSION
from tests.support.waiting import until

MODULE = "tests.integration.observability.noisy_process"
Lines = list[dict[str, Any]]


@contextmanager
def noisy(**variables: str) -> Iterator[subprocess.Popen[str]]:
    """The process, running."""
    settings = {f"BAZARUTO_{name}": value for name, value in variables.items()}
    environment = {**os.environ, "PYTHONWARNINGS": "default", **settings}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", MODULE], env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def all_said(**variables: str) -> Lines:
    """Everything that the process says from beginning to end on standard output; nothing is said elsewhere."""
    with noisy(**variables) as process:
        out, err = process.communicate("hello\n", timeout=60)
    assert process.returncode == 1
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def one(lines: Lines, message: str) -> dict[str, Any]:
    (matching_line,) = (line for line in lines if message in line["message"])
    return matching_line


def lines_of(path: Path) -> Lines:
    """The lines of a file that are whole: the last may be on its way."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def messages_of(path: Path) -> list[str]:
    return [line["message"] for line in lines_of(path)]


@pytest.fixture(scope="module")
def lines() -> Lines:
    return all_said()


def test_every_line_has_the_fields_that_all_have(lines: Lines) -> None:
    for line in lines:
        assert (line["service"], line["component"], line["version"]) == ("bazaruto", "noisy", VERSION)
        assert line["level"] in ("info", "warning", "error", "critical")


def test_line_within_a_span_names_it(lines: Lines) -> None:
    line = one(lines, "within a span")
    assert (len(line["trace_id"]), len(line["span_id"])) == (32, 16)
    assert (line["response_time"], line["email"]) == (12.5, "a***@example.com")


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("of a library", "warning"),
        ("DeprecationWarning: an old way", "warning"),
        ("printed by C", "error"),
        ("and a second line", "error"),
        ("printed by Python", "error"),
        ("job failed", "error"),
    ],
)
def test_what_others_say_is_a_line_like_any_other(lines: Lines, message: str, level: str) -> None:
    assert one(lines, message)["level"] == level


def test_traceback_is_one_string_of_one_line(lines: Lines) -> None:
    assert "LookupError: a fault\nof two lines" in one(lines, "job failed")["exception"]


def test_what_nobody_catches_is_told_of_threads_and_of_the_process(lines: Lines) -> None:
    of_thread, of_process = (line for line in lines if line["message"] == "uncaught exception")
    assert (of_thread["level"], of_thread["thread"]) == ("critical", "broken")
    assert "ZeroDivisionError" in of_thread["exception"]
    assert "RuntimeError: the end" in of_process["exception"]


@pytest.mark.parametrize(("level", "details"), [("info", False), ("debug", True)])
def test_details_are_told_when_the_file_asks_for_them(tmp_path: Path, level: str, details: bool) -> None:
    (tmp_path / "config.yaml").write_text(f"log_level: {level}\n")
    said = all_said(CONFIG=str(tmp_path / "config.yaml"))
    assert any(line["level"] == "debug" for line in said) is details


def test_details_are_told_when_the_environment_asks_for_them(lines: Lines, tmp_path: Path) -> None:
    assert not [line for line in lines if line["level"] == "debug"]
    (tmp_path / "config.yaml").write_text("log_level: info\n")
    detailed = all_said(CONFIG=str(tmp_path / "config.yaml"), LOG_LEVEL="debug")
    details = {line["message"] for line in detailed if line["level"] == "debug"}
    assert details >= {"a detail", "a detail of a library", "told in detail"}


def test_signal_turns_details_on_and_off(tmp_path: Path) -> None:
    path = tmp_path / "app.log"

    def changed() -> list[str]:
        return [line["log_level"] for line in lines_of(path) if line["message"] == "log level changed"]

    with noisy(LOG_FILE=str(path)) as process:
        assert process.stdin
        until(lambda: "ready" in messages_of(path))
        for number in (1, 2):
            process.send_signal(signal.SIGUSR2)
            until(lambda number=number: len(changed()) == number)  # type: ignore[misc]
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
            until(lambda number=number: any(line.get("line") == str(number) for line in lines_of(path)))  # type: ignore[misc]
        process.communicate(timeout=60)
    assert changed() == ["debug", "info"]
    assert len([line for line in lines_of(path) if line["message"] == "told in detail"]) == 1


def test_signal_opens_the_file_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "app.log", tmp_path / "app.log.1"
    with noisy(LOG_FILE=str(path)) as process:
        # What is printed to standard error becomes a line a moment later, and may be the last.
        until(lambda: {"ready", "and a second line", "printed by Python"} <= set(messages_of(path)))
        before = messages_of(path)
        path.rename(moved)
        process.send_signal(signal.SIGHUP)
        until(path.exists)
        process.communicate("hello\n", timeout=60)
    assert messages_of(moved) == before
    assert messages_of(path)[0] == "told"


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    text = "".join(f"{'x' * 3000}{number}\n" for number in range(200))
    with noisy(LOG_FILE=str(path)) as first, noisy(LOG_FILE=str(path)) as second:
        for process in (first, second):
            assert process.stdin
            process.stdin.write(text)
            process.stdin.flush()
        for process in (first, second):
            process.communicate(timeout=60)
    assert len([line for line in lines_of(path) if line["message"] == "told"]) == 400


@pytest.mark.parametrize("file", ["/dev/full", "/no/such/folder/app.log"])
def test_log_that_cannot_be_written_does_not_stop_the_process(file: str) -> None:
    with noisy(LOG_FILE=file) as process:
        out, _ = process.communicate("hello\n", timeout=60)
    assert process.returncode == 1  # its own end, which comes last
    said = [json.loads(line) for line in out.splitlines()]
    if file == "/dev/full":
        assert said == []
    else:
        assert one(said, "log file cannot be written")["file"] == file
        assert one(said, "told")["line"] == "hello"
