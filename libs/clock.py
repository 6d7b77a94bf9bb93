"""What time it is. Nothing else of the platform asks the computer; a linter sees to it.

There are two clocks. `now` is that of the domain: of offers, contracts, bills and of everything that is written down
about them. `real_now` and its like are for what has to agree with other machines and with people who wait: tokens,
sessions, limits, retries, heartbeats, idempotency keys, logs and housekeeping. How long something takes is neither
one's business: that is measured with `time.monotonic` and `time.perf_counter`.

Rules take the moment as an argument: servicers and jobs ask here.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The moment that it is for the domain, in UTC."""
    return datetime.now(UTC)


def real_now() -> datetime:
    """The moment that it is on this machine, in UTC."""
    return datetime.now(UTC)


def real_seconds() -> float:
    """Seconds since 1970 on this machine, as tokens count them."""
    return time.time()


def real_nanoseconds() -> int:
    """Nanoseconds since 1970 on this machine."""
    return time.time_ns()
