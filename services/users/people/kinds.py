"""The kinds of jobs of people."""

from __future__ import annotations

from libs.jobs import JobKind, Nothing

MAKE_PARTIES = JobKind("users.make_parties", Nothing)
