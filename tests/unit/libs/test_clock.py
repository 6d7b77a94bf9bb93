"""The clock: two of them, and nobody else asks the computer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PosixPath

import pytest

from libs import clock

ROOT = Path(__file__).parents[3]
ASKING = {
    "datetime.now": "from datetime import UTC, datetime\n\nmoment = datetime.now(UTC)\n",
    "datetime.now, given away": "from datetime import datetime\n\nask = datetime.now\n",
    "datetime.now of the module": "import datetime as dt\n\nmoment = dt.datetime.now(dt.UTC)\n",
    "datetime.utcnow": "from datetime import datetime\n\nmoment = datetime.utcnow()\n",
    "datetime.today": "from datetime import datetime\n\nmoment = datetime.today()\n",
    "date.today": "from datetime import date\n\nday = date.today()\n",
    "time.time": "import time\n\nseconds = time.time()\n",
    "time, imported by its name": "from time import time\n\nseconds = time()\n",
    "time.time_ns": "import time\n\nnanoseconds = time.time_ns()\n",
    "time.localtime": "import time\n\nparts = time.localtime()\n",
    "time.gmtime": "import time\n\nparts = time.gmtime()\n",
    "time.strftime": 'import time\n\ntext = time.strftime("%Y")\n',
}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """Where a test says by how much the clock is ahead; nobody has said so yet."""
    clock.follow(tmp_path / "clock")
    yield tmp_path / "clock"
    clock.follow(None)


def move(file: Path, offset: timedelta) -> None:
    """Say it, and let the next call look."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps({clock.OFFSET: offset // timedelta(microseconds=1), "target": None}))
    new.replace(file)
    time.sleep(clock.LOOK_EVERY)


def ahead() -> timedelta:
    return clock.now() - clock.real_now()


def test_clock_that_nobody_has_moved_is_that_of_the_machine(file: Path) -> None:
    assert abs(ahead()) < timedelta(seconds=1)
    assert clock.offset() == timedelta(0)


def test_moved_clock_is_heard_of_and_real_time_stays(file: Path) -> None:
    before = time.time()
    move(file, timedelta(days=45))
    assert abs(ahead() - timedelta(days=45)) < timedelta(seconds=1)
    assert clock.offset() == timedelta(days=45)
    assert before <= clock.real_seconds() < before + 60
    assert clock.real_nanoseconds() / 1e9 < before + 60
    move(file, timedelta(days=46))
    assert clock.offset() == timedelta(days=46)


@pytest.mark.parametrize("back", [timedelta(days=1), timedelta(0), None])
def test_time_never_goes_back_while_a_process_runs(file: Path, back: timedelta | None) -> None:
    move(file, timedelta(days=45))
    clock.now()
    if back is None:
        file.unlink()
        time.sleep(clock.LOOK_EVERY)
    else:
        move(file, back)
    assert clock.offset() == timedelta(days=45)


class WatchedPath(PosixPath):
    """A path that counts how often it is looked at."""

    looks = 0

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        type(self).looks += 1
        return super().stat(follow_symlinks=follow_symlinks)


def test_file_is_not_looked_at_by_every_call(file: Path) -> None:
    clock.follow(WatchedPath(file))
    until = time.monotonic() + 3 * clock.LOOK_EVERY
    calls = 0
    while time.monotonic() < until:
        clock.now()
        calls += 1
    assert calls > 2 * WatchedPath.looks
    assert 2 <= WatchedPath.looks <= 4


@pytest.mark.parametrize(
    "text",
    ["", "45d", "{}", "[]", '{"offset_microseconds": "45"}', '{"offset_microseconds": -1}', f'{{"x": {10**20}}}'],
)
def test_file_that_says_something_else_stops_the_process_and_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "clock").write_text(text)
    with pytest.raises(ValueError, match=str(tmp_path / "clock")):
        clock.follow(tmp_path / "clock")


@pytest.mark.parametrize("ask", [clock.now, clock.real_now])
def test_both_clocks_answer_in_utc(ask: object) -> None:
    assert callable(ask)
    before = datetime.now(UTC)
    moment = ask()
    assert moment.utcoffset() == timedelta(0)
    assert before <= moment <= datetime.now(UTC)


def test_seconds_and_nanoseconds_are_those_of_this_machine() -> None:
    before = time.time_ns()
    assert before / 1e9 - 0.001 <= clock.real_seconds()
    assert before <= clock.real_nanoseconds() <= time.time_ns()


@pytest.mark.parametrize(
    "file",
    [
        "libs/nested/other.py",
        "services/policies/lifecycle/servicer/policies.py",
        "gateway/main.py",
        "bazarutod/backup/other.py",
    ],
)
@pytest.mark.parametrize("code", ASKING.values(), ids=ASKING.keys())
def test_linter_refuses_code_that_asks_the_computer(code: str, file: str) -> None:
    assert "TID251" in _lint(code, file)


def test_linter_lets_the_clock_ask() -> None:
    assert _lint((ROOT / "libs/clock.py").read_text(), "libs/clock.py") == ""


def test_no_service_asks_its_database_what_time_it_is() -> None:
    # A moment of the database is one of this machine: it would stand beside moments of the domain's clock.
    asking = re.compile(
        r"\bfunc\.now\b|(?<![\w.])now\(\)|\b(clock|statement|transaction)_timestamp\b|\bcurrent_(date|time)"
    )
    paths = [path for path in (ROOT / "services").rglob("*.py") if "migrations" not in path.parts]
    assert len(paths) > 50
    assert [str(path) for path in paths if asking.search(path.read_text(encoding="utf-8"))] == []


def test_guide_names_all_that_keeps_real_time() -> None:
    rows = re.findall(r"^\| [^|]+ \| ((?:`[\w./]+`(?:, )?)+) \|$", _section("Moving the Clock"), re.MULTILINE)
    named = {path for row in rows for path in re.findall(r"`([^`]+)`", row)}
    asking = re.compile(r"\bclock\.real_|(?<![\w.])now\(\)(?! ->)")
    files = {
        str(path.relative_to(ROOT))
        for package in ("libs", "services", "gateway", "bazarutod")
        for path in (ROOT / package).rglob("*.py")
        if "migrations" not in path.parts and asking.search(path.read_text(encoding="utf-8"))
    } - {"libs/clock.py"}
    assert {file for file in files if not file.startswith(tuple(named))} == set(), "keep real time, and are not named"
    assert {path for path in named if not any(file.startswith(path) for file in files)} == set(), "do not ask for it"


def _section(title: str) -> str:
    """The text below a heading of the operations guide."""
    guide = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    return guide.partition(f"### {title}\n")[2].partition("\n## ")[0]


def _lint(code: str, file: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251", "--output-format=concise", "-q"]
    linted = subprocess.run(
        [*command, f"--stdin-filename={ROOT / file}", "-"], input=code, capture_output=True, text=True, cwd=ROOT
    )
    assert linted.stderr == ""
    return linted.stdout
