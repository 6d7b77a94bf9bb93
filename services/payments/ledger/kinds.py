"""The kinds of jobs of the ledger."""

from __future__ import annotations

from libs.jobs import JobKind, Nothing

CLOSE_DAYS = JobKind("payments.close_days", Nothing)
