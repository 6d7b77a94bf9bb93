"""A database with journals in it, what it holds, and ways to damage a file of its backup."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg

from bazarutod.backup import fingerprint

# Five journals in two currencies, and content that a careless dump would change.
_BOOKS = """
    WITH j AS (
        INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)
        SELECT gen_random_uuid(), 'premium', E'tab\\there, quote \\' and é ' || gen_random_uuid(), gen_random_uuid(),
               (ARRAY['EUR', 'USD'])[i % 2 + 1], '2026-01-01', now(), 2
        FROM generate_series(1, 5) i RETURNING id)
    INSERT INTO postings (journal_id, line, account_code, side, amount)
    SELECT j.id, l.line, l.code, l.side, 12345
    FROM j, (VALUES (1, '1105', 'debit'), (2, '2000', 'credit')) l (line, code, side)
"""


def fill_books(url: str) -> None:
    """Write a few balanced journals."""
    with psycopg.connect(url) as connection:
        connection.execute(_BOOKS.encode())


def content(url: str) -> fingerprint.Fingerprint:
    """Counts, checksums and the trial balance of a database."""
    with psycopg.connect(url) as connection:
        return fingerprint.take(connection)


def is_empty(url: str) -> bool:
    """Whether a database has no tables."""
    with psycopg.connect(url) as connection:
        return fingerprint.is_empty(connection)


def mode(path: Path) -> int:
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def flip_a_bit(path: Path) -> None:
    """Damage one bit in the middle of a file."""
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    path.write_bytes(damaged)


def cut_off(path: Path) -> None:
    """Lose the last part of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
