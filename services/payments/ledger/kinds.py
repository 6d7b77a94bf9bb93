"""The kinds of jobs of the ledger."""

from __future__ import annotations

from dataclasses import dataclass

from libs.jobs import JobKind, Nothing
from libs.jobs.nightly import Occurrence

CLOSE_DAYS = JobKind("payments.close_days", Nothing)


@dataclass(frozen=True, slots=True)
class RunEarning:
    """The arguments of `RUN_EARNING`."""

    period: str
    asked_at: str
    """The moment at which it was asked for, by which it is told from others for the same period."""


# Every night, so that what could not be earned, or came late, waits no longer than a day. The first run of a month
# finds all policies.
EARN_PERIOD = JobKind("payments.earn_period", Occurrence, "processing", endless=True, daily="03:40")
RUN_EARNING = JobKind("payments.run_earning", RunEarning, "processing", endless=True)
