"""The kinds of jobs of quoting."""

from __future__ import annotations

from libs.jobs import JobKind, Nothing

EXPIRE_QUOTES = JobKind("quotes.expire_quotes", Nothing)
KEEP_LINES = JobKind("quotes.keep_lines", Nothing)
REAP_KEYS = JobKind("quotes.reap_idempotency_keys", Nothing)
