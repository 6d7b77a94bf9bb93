"""`bazarutod up` as a person uses it: start, Ctrl-C, start again, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bazarutod.ports import free_port
from bazarutod.stack import PROCESSES
from tests.support.platform import free_addresses
from tests.support.servers import serving
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("platform")

UP = str(Path(sys.executable).with_name("bazarutod"))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in which the embedded servers can work, also when root runs the test."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-up-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@dataclass(frozen=True)
class Running:
    """A platform that somebody started with the command, and the file that it reads its settings from."""

    up: subprocess.Popen[str]
    folder: Path
    configuration: Path
    quotes: str
    """Where the quotes service answers."""

    def children(self) -> set[int]:
        """The process ids of what the command started."""
        return {child.pid for child in psutil.Process(self.up.pid).children()}

    def until_printed(self, text: str) -> None:
        """Read what the command prints, up to a line with that text."""
        assert self.up.stdout
        while text not in (line := self.up.stdout.readline()):
            assert line


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A running platform for the tests that leave it running."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-up-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        configuration = folder / "config.yaml"
        configuration.write_text("{}\n")
        addresses = free_addresses()
        with _up(folder, BAZARUTO_CONFIG=str(configuration), **addresses) as up:
            _until_ready(up)
            yield Running(up, folder, configuration, addresses["BAZARUTO_SERVICES__QUOTES__LISTEN"])
        assert up.returncode == 0


@contextmanager
def _up(folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running; it is ended as by Ctrl-C when the test is over."""
    command = [UP, "up", "--folder", str(folder / "run")]
    environment = {**os.environ, **free_addresses(), **variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as up:
        yield up
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=120)


def _until_ready(up: subprocess.Popen[str]) -> str:
    assert up.stdout
    printed = ""
    for line in up.stdout:
        printed += line
        if "Ctrl-C stops everything" in line:
            return printed
    raise AssertionError(printed)


def test_platform_starts_shows_progress_and_ends_with_ctrl_c(folder: Path) -> None:
    for _ in range(2):  # the second time on the data of the first
        with _up(folder) as up:
            printed = _until_ready(up)
            children = psutil.Process(up.pid).children(recursive=True)
        assert up.returncode == 0
        assert re.search(r"is ready after \d+\.\d s", printed)
        for process in PROCESSES:
            assert f"ready {process.name}" in printed
        assert len(children) >= len(PROCESSES)
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
        assert not (folder / "run" / "state.json").exists()
        for log in (folder / "run" / "logs").glob("*.log"):
            assert "Traceback" not in log.read_text()


def test_ctrl_c_ends_a_platform_that_is_still_starting(folder: Path) -> None:
    with _up(folder) as up:
        assert up.stdout
        while "Starting" not in (line := up.stdout.readline()) or "processes" not in line:
            assert line
        children = psutil.Process(up.pid).children(recursive=True)
        up.send_signal(signal.SIGINT)
        printed, _ = up.communicate(timeout=120)
    assert up.returncode == 130
    assert "Stopped." in printed
    assert "is ready" not in printed
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_process_that_dies_is_started_again(running: Running) -> None:
    children = psutil.Process(running.up.pid).children()
    victim = next(child for child in children if "services.quotes.main serve" in " ".join(child.cmdline()))
    victim.kill()
    running.until_printed("starting it again")
    until(lambda: serving(running.quotes))


def test_restart_replaces_every_process_and_tells_each(running: Running) -> None:
    before = running.children()
    done = _restart(running.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^(\S+) +restarted in \d+\.\d s$", done.stdout, re.MULTILINE) == [p.name for p in PROCESSES]
    after = running.children()
    assert len(before - after) == len(after - before) == len(PROCESSES)
    restarted = json.loads(_restart(running.folder, "quotes", "--json").stdout)
    assert [one["process"] for one in restarted] == ["quotes"]
    assert restarted[0]["seconds"] > 0


def test_successor_that_does_not_start_leaves_the_running_process(running: Running) -> None:
    before = running.children()
    running.configuration.write_text("db: {max_connections: many}\n")
    try:
        done = _restart(running.folder, "users", "quotes")
    finally:
        running.configuration.write_text("{}\n")
    assert done.returncode == 1
    assert "users: it goes on as it was" in done.stdout
    assert "db.max_connections" in done.stdout
    assert "Not restarted: users, quotes" in done.stderr
    assert running.children() == before


def test_restart_of_what_does_not_run_says_so(folder: Path) -> None:
    assert "No platform runs in" in _restart(folder).stderr
    assert "claims: no such process" in _restart(folder, "claims").stderr


def _restart(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [UP, "restart", *names, "--folder", str(folder / "run")]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120)


def test_second_platform_in_the_same_folder_is_refused(running: Running) -> None:
    assert "is running already" in _refusal(running.folder)


def test_address_that_somebody_listens_on_is_named(folder: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", free_port()))
        busy.listen()
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        assert f"Somebody listens on {address}" in _refusal(folder, BAZARUTO_GATEWAY__LISTEN=address)


def test_wrong_configuration_is_named_before_anything_starts(folder: Path) -> None:
    assert "db.max_connections" in _refusal(folder, BAZARUTO_DB__MAX_CONNECTIONS="many")
    assert not (folder / "run" / "pg").exists()


def _refusal(folder: Path, **variables: str) -> str:
    """What the command says when it does not start."""
    environment = {**os.environ, **free_addresses(), **variables}
    command = [UP, "up", "--folder", str(folder / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    return done.stdout + done.stderr
