"""The rule that no test may be skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import skips

OWN = Path(__file__).parents[1]


def report_of(outcome: str, reason: str = "") -> pytest.TestReport:
    return pytest.TestReport(
        "tests/test_a.py::test_b",
        ("tests/test_a.py", 1, "test_b"),
        {},
        outcome,  # type: ignore[arg-type]
        ("tests/test_a.py", 1, reason) if reason else None,
        "call",
    )


def test_skipped_test_fails_with_its_reason() -> None:
    report = report_of("skipped", "Skipped: there is no curl")
    skips.refuse(report)
    assert report.failed
    assert "there is no curl" in str(report.longrepr)


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_test_that_ran_keeps_its_outcome(outcome: str) -> None:
    report = report_of(outcome)
    skips.refuse(report)
    assert report.outcome == outcome


@pytest.mark.needs_rights
def test_rights_may_be_lacking_in_one_folder_only(request: pytest.FixtureRequest) -> None:
    assert not skips.may_lack_rights(request.node)
    request.node.path = OWN / "ops" / "test_live_infrastructure.py"
    assert skips.may_lack_rights(request.node)
