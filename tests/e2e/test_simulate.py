"""Some months of a small book, lived through and proved by the command itself; the long form is in tests/long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from libs import clock
from tests.support.simulated import assert_only_known_refusals

_POLICIES = 6
# All but renewals: terms last for a year.
_TYPES = (
    "new_business",
    "activation",
    "not_taken",
    "endorsement",
    "cancellation",
    "reversal",
    "lapse",
    "reinstatement",
)

pytestmark = [pytest.mark.xdist_group("simulate"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What the command prints of a policy of each product in two months, and the page that it writes."""
    page = tmp_path_factory.mktemp("simulate") / "report.html"
    options = ["--policies", str(_POLICIES), "--months", "2", "--seed", "328", "--from", _next_december()]
    command = [sys.executable, "-m", "bazarutod", "simulate", *options, "--json", "--html", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), page


def _next_december() -> str:
    """The first day of two long months, whenever the test runs: in shorter ones fewer things happen."""
    today = clock.real_now().date()
    return date(today.year + (today.month == 12), 12, 1).isoformat()


def test_books_are_right_at_the_end_of_each_month(report: tuple[dict[str, Any], Path]) -> None:
    document, _ = report
    assert document["wrong"] == ""
    assert len(document["by_month"]) == 2
    assert_only_known_refusals(document)


def test_policies_go_through_all_that_may_become_of_them_in_a_term(report: tuple[dict[str, Any], Path]) -> None:
    document, _ = report
    counts = {name: sum(month["transactions"].get(name, 0) for month in document["by_month"]) for name in _TYPES}
    assert counts["new_business"] == _POLICIES
    assert all(counts.values()), counts
    assert any(float(month["money"]["EUR"]["earned"]) > 0 for month in document["by_month"])


def test_page_needs_nothing_from_elsewhere(report: tuple[dict[str, Any], Path]) -> None:
    text = report[1].read_text()
    assert "<svg" in text
    assert "seed 328" in text
    for word in ("http://", "https://", "src=", "@import", "<script"):
        assert word not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
