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

# Each copy has identifiers of its own, and all its amounts are those of the first one times a number below 1000. Rows
# are added in any order.
COPYING: Final = """
    CREATE FUNCTION pg_temp.copy_of(original uuid, copy integer) RETURNS uuid LANGUAGE sql IMMUTABLE
        AS $$SELECT md5(original::text || copy)::uuid$$;
    CREATE FUNCTION pg_temp.times(policy uuid, copy integer) RETURNS bigint LANGUAGE sql IMMUTABLE
        AS $$SELECT 1 + abs(hashtext(policy::text || copy)::bigint) % 997$$;
    SET session_replication_role = replica;
"""

_ALL: Final = 10_000
_NO_LONGER_FILLED: Final = (  # only in databases of before
    "terms", "segments", "policy_numbers", "billings", "installments", "unbilled_installments", "invoice_numbers",
)  # fmt: skip
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
# What became of billings: the same prices, installments, invoices and payments, on accounts.
_ADOPTED: Final = {
    _BILLED: """
        SELECT currency, sum(amount) FILTER (WHERE line.kind = 'premium'),
            coalesce(sum(amount) FILTER (WHERE line.kind = 'tax'), 0),
            coalesce(sum(amount) FILTER (WHERE line.kind = 'fee'), 0)
        FROM charge_lines AS line JOIN applied_transactions USING (transaction_id)
        JOIN billing_accounts AS account ON account.id = account_id GROUP BY currency
    """,
    "SELECT policy_id, number, due_on, net + tax + fees, net, tax, fees FROM installments": """
        SELECT account_id, number, due_on, total, coalesce((columns ->> 'premium:')::bigint, 0),
            coalesce((columns ->> 'tax:')::bigint, 0), coalesce((columns ->> 'fee:')::bigint, 0)
        FROM schedule_installments JOIN schedules ON schedules.id = schedule_id
    """,
    """
        SELECT bill.id, part.due_on, part.net + part.tax + part.fees,
            CASE status WHEN 'paid' THEN part.net + part.tax + part.fees ELSE 0 END,
            billings.currency, billings.time_zone
        FROM invoices AS bill JOIN installments AS part ON part.policy_id = bill.policy_id
        AND part.number = installment_number JOIN billings ON billings.policy_id = bill.policy_id
    """: "SELECT id, due_on, total, settled, currency, time_zone FROM invoices",
    "SELECT invoice_id, id, amount FROM payments WHERE status = 'succeeded'": (
        "SELECT invoice_id, payment_id, amount FROM allocations"
    ),
    "SELECT id, coalesce(total, 0) FROM invoices": (
        "SELECT invoice_id, sum(amount)::bigint FROM invoice_items GROUP BY invoice_id"
    ),
    _TO_BE_BILLED: """
        SELECT account_id, number, due_on FROM schedule_installments JOIN schedules ON schedules.id = schedule_id
        WHERE state = 'planned' AND EXISTS (
            SELECT FROM invoices WHERE policy_id = account_id AND installment_number = 1 AND status = 'paid'
        )
    """,
}
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
    empty = [name for name, table in tables.items() if not table.rows and name not in _NO_LONGER_FILLED]
    assert not empty, empty
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
            if before["billings"].rows:
                assert connection.execute(_BILLED).fetchall() == connection.execute(_SPLIT).fetchall() != []
                assert connection.execute(_LISTED).fetchall() == connection.execute(_TO_BE_BILLED).fetchall() != []
                for earlier, today in _ADOPTED.items():
                    there, here = (sorted(connection.execute(query.encode())) for query in (earlier, today))
                    assert there == here != []
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
