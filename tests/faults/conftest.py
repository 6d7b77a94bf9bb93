"""One platform whose processes are killed and replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.platform import Platform, running_platform

# Workers notice a dead colleague soon, so that no test need wait for minutes.
_QUICK: Any = {
    "BAZARUTO_JOBS__HEARTBEAT": "500ms",
    "BAZARUTO_JOBS__STALLED_AFTER": "2s",
    "BAZARUTO_JOBS__RETRY_WAIT": "200ms",
    "BAZARUTO_JOBS__MAX_ATTEMPTS": "12",
    "BAZARUTO_JOBS__RETRY_CAP": "5s",
}


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Every process of the platform, started as people start it."""
    with running_platform(**_QUICK) as running:
        yield running
