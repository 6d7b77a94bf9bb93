"""A year in the life of a thousand policies, proved at the end of each month: an hour or more on two cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.simulated import assert_only_known_refusals

_POLICIES, _MONTHS = 1000, 12
_SECONDS = 6 * 3600  # for a slow machine


@pytest.mark.timeout(_SECONDS)
def test_books_are_right_at_the_end_of_every_month_of_a_year(tmp_path: Path) -> None:
    options = [f"--policies={_POLICIES}", f"--months={_MONTHS}", "--seed=1", "--json", f"--html={tmp_path / 'r.html'}"]
    command = [sys.executable, "-m", "bazarutod", "simulate", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ, check=False)
    report = json.loads(done.stdout)
    assert report["wrong"] == ""
    assert done.returncode == 0
    assert len(report["by_month"]) == _MONTHS
    assert report["by_month"][-1]["transactions"]
    assert_only_known_refusals(report)
