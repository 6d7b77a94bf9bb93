"""What is skipped fails: a check that nobody made must not look green."""

from __future__ import annotations

from pathlib import Path

import pytest

RIGHTS = "needs_rights"  # the mark of the tests that may lack a right that no package gives, such as to mount
_OPS = Path(__file__).parents[1] / "ops"


def refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn the report of a skipped (or expectedly failing) test or file into that of a failure."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} may not be skipped: {reason}"


def may_lack_rights(item: pytest.Item) -> bool:
    """Whether a test says that it needs a right, in the one folder where that is allowed."""
    return item.get_closest_marker(RIGHTS) is not None and item.path.is_relative_to(_OPS)
