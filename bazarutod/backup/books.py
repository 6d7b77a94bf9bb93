"""The tables of payments, as far as a backup knows them: the trial balance that a restore must give back, and the
journals that a drill writes to lose them.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from typing import Final

import psycopg
from pydantic import BaseModel, ConfigDict

from libs.db import migrations

DATABASE: Final = "bazaruto_payments"
DRILL: Final = "drill"  # the rule of the journals of a drill
_SUMS = """
    SELECT j.currency, coalesce(sum(p.amount) FILTER (WHERE p.side = 'debit'), 0),
           coalesce(sum(p.amount) FILTER (WHERE p.side = 'credit'), 0)
    FROM postings p JOIN journals j ON j.id = p.journal_id GROUP BY 1 ORDER BY 1
"""
# Two postings for each journal: a third of the rows are journals. Written past the triggers, which check each journal
# and would take most of the time; the trial balance is checked at the end.
_JOURNALS = """
    INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, lines)
    SELECT lpad(to_hex(i), 32, '0')::uuid, %(rule)s, i::text, lpad(to_hex(i), 32, 'a')::uuid,
           (ARRAY['EUR', 'USD', 'MZN'])[i %% 3 + 1], current_date, now(), 2
    FROM generate_series(%(first)s::bigint, %(last)s) i
"""
_POSTINGS = """
    INSERT INTO postings (journal_id, line, account_code, side, amount)
    SELECT lpad(to_hex(i), 32, '0')::uuid, side.line, side.account, side.name, i %% 100000 + 1
    FROM generate_series(%(first)s::bigint, %(last)s) i,
         (VALUES (1, '1105', 'debit'), (2, '2000', 'credit')) side (line, account, name)
"""


class Sums(BaseModel):
    """All postings of one currency, in its smallest unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    debits: int
    credits: int

    @property
    def difference(self) -> int:
        """Zero, if the books are in order."""
        return self.debits - self.credits


def trial_balance(connection: psycopg.Connection, tables: Collection[str]) -> dict[str, Sums]:
    """The sums of each currency; none in a database whose tables are not those of payments."""
    if not {"public.journals", "public.postings"} <= set(tables):
        return {}
    return {
        currency: Sums(debits=int(debit), credits=int(credit)) for currency, debit, credit in connection.execute(_SUMS)
    }


def make_tables(url: str) -> None:
    """Bring an empty database to the revision of payments that this program needs."""
    migrations.upgrade(url, importlib.import_module("services.payments"))


def book(connection: psycopg.Connection, first: int, last: int, rule: str = DRILL) -> None:
    """Write the journals of these numbers, with two postings each."""
    numbers = {"first": first, "last": last}
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute(_JOURNALS, {**numbers, "rule": rule})
        connection.execute(_POSTINGS, numbers)


def drop_postings(connection: psycopg.Connection) -> None:
    """The mistake that a drill recovers from."""
    connection.execute("DROP TABLE postings")


def other_rules(connection: psycopg.Connection) -> set[str]:
    """The rules of the journals that are not marked as those of a drill."""
    return {rule for (rule,) in connection.execute("SELECT DISTINCT rule FROM journals WHERE rule <> %s", (DRILL,))}
