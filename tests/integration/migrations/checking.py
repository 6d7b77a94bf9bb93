"""A database of an earlier revision, and what must hold of it when it has come to today's."""

from __future__ import annotations

import importlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from libs import audit
from libs.config import DbSettings
from libs.db import Database, migrations
from libs.jobs import operating
from tests.integration.migrations import state
from tests.support.sections import section

Tables = dict[str, state.Table]

_ALL: Final = 10_000
_NO_LONGER_FILLED: Final = ("terms", "segments", "policy_numbers")  # only in databases of before
_UNBALANCED: Final = """
    SELECT journals.id FROM journals LEFT JOIN postings ON journal_id = journals.id GROUP BY journals.id
    HAVING count(*) <> lines OR sum(CASE side WHEN 'debit' THEN amount ELSE -amount END) <> 0
"""
_BILLED: Final = "SELECT currency, sum(net), sum(tax), sum(fees) FROM billings GROUP BY currency"
_SPLIT: Final = """
    SELECT currency, sum(part.net), sum(part.tax), sum(part.fees)
    FROM installments AS part JOIN billings USING (policy_id) GROUP BY currency
"""
# Of a policy in force, what has no invoice.
_TO_BE_BILLED: Final = """
    SELECT policy_id, number, due_on FROM installments AS part
    WHERE EXISTS (
        SELECT FROM invoices WHERE policy_id = part.policy_id AND installment_number = 1 AND status = 'paid'
    ) AND NOT EXISTS (
        SELECT FROM invoices WHERE policy_id = part.policy_id AND installment_number = part.number
    ) ORDER BY policy_id, number
"""
_LISTED: Final = "SELECT policy_id, number, due_on FROM unbilled_installments ORDER BY policy_id, number"
# Numbers are counted by prefix, from above all that were ever given.
_COUNTED_TOO_LOW: Final = """
    SELECT product_code FROM policy_numbers AS code WHERE product_code <> upper(product_code) AND NOT EXISTS (
        SELECT FROM policy_numbers AS prefix WHERE prefix.year = code.year AND prefix.last >= code.last
            AND prefix.product_code = upper(left(code.product_code, 3))
    )
"""


def upgrade(service: str, url: str, revision: str = "head") -> None:
    """Bring a service's database to a revision."""
    migrations.upgrade(url, importlib.import_module(f"services.{service}"), revision)


def restore(earlier: Path, url: str) -> Tables:
    """Make an empty database what a file says; gives what it holds: something in every table."""
    upgrade(*_named(earlier, url))
    state.load(url, earlier)
    with psycopg.connect(url) as connection:
        tables = state.tables(connection)
    assert [name for name, table in tables.items() if not table.rows and name not in _NO_LONGER_FILLED] == []
    return tables


def check(service: str, url: str, before: Tables) -> None:
    """All that was there is there, and what revisions derive from it is right."""
    with psycopg.connect(url) as connection:
        for name, table in before.items():
            rows = state.read(connection, name, table.columns).rows
            assert table.rows - rows == Counter(), f"{name} lost rows"
            assert name == "policy_numbers" or rows == table.rows, f"{name} has other rows"
        if service == "policies":
            assert connection.execute(_COUNTED_TOO_LOW).fetchall() == []
        if service == "payments":
            assert connection.execute(_UNBALANCED).fetchall() == []
            assert connection.execute(_BILLED).fetchall() == connection.execute(_SPLIT).fetchall() != []
            assert connection.execute(_LISTED).fetchall() == connection.execute(_TO_BE_BILLED).fetchall() != []
    with psycopg.connect(url, autocommit=True) as connection:
        assert len(operating.list_jobs(connection, _ALL)) == before["procrastinate_jobs"].rows.total()
    database = Database(url, section(DbSettings, max_connections=1), "test-states")
    database.open()
    with closing(database), database.reading(fresh=True) as session:
        entries = audit.list_events(session, audit.Filter(), None, _ALL)
    assert len(entries) == (before["audit_events"].rows.total() if "audit_events" in before else 0)


def _named(earlier: Path, url: str) -> tuple[str, str, str]:
    service, _, revision = earlier.stem.partition("-")
    return service, url, revision
