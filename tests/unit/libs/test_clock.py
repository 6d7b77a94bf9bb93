"""The clock: two of them, and nobody else asks the computer."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    ["libs/nested/other.py", "services/policies/lifecycle/servicer.py", "gateway/main.py", "bazarutod/backup/other.py"],
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


def _lint(code: str, file: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251", "--output-format=concise", "-q"]
    linted = subprocess.run(
        [*command, f"--stdin-filename={ROOT / file}", "-"], input=code, capture_output=True, text=True, cwd=ROOT
    )
    assert linted.stderr == ""
    return linted.stdout
