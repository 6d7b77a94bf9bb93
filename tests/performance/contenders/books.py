"""Books with many postings: `python -m …contenders.books fill URL FIRST LAST ALL`, `… sum URL`.

`fill` writes the journals of policies that are numbered from FIRST to LAST, of ALL in three years, past the triggers
that check each of them, and lists them as not summed; `sum` runs the job that sums them by day.
"""

from __future__ import annotations

import sys

import psycopg

from tests.performance.contenders.platform_code import Database, close_days, load

# Of each policy: its price by two coverages with tax and fee, its invoice and its payment. Three years, three
# currencies, twenty partners; a tenth counts a month later than it was entered.
_JOURNALS = """
    INSERT INTO journals (id, rule, source_id, policy_id, currency, effective_on, booked_at, partner_id, lines)
    SELECT lpad(to_hex(3 * i + kind.number), 32, '0')::uuid, kind.rule, 'bench_' || i, lpad(to_hex(i), 32, 'a')::uuid,
           (ARRAY['EUR', 'USD', 'MZN'])[i %% 3 + 1], day + CASE i %% 10 WHEN 0 THEN 30 ELSE 0 END,
           day + (i %% 86400) * interval '1 second', CASE WHEN i %% 2 = 0 THEN lpad(to_hex(i %% 40), 32, 'b')::uuid END,
           kind.lines
    FROM generate_series(%(first)s::bigint, %(last)s) i,
         (VALUES (0, 'policy_changed', 5), (1, 'invoice_issued', 2), (2, 'payment_captured', 2))
             kind (number, rule, lines),
         LATERAL (SELECT '2024-01-01'::date + least(i * 1096 / %(all)s, 1095)::integer) days (day)
"""
_POSTINGS = """
    INSERT INTO postings (journal_id, line, account_code, side, amount, coverage_code, tax_code, term_number)
    SELECT lpad(to_hex(3 * i + part.number), 32, '0')::uuid, part.line, part.account, part.side,
           part.share * (i %% 1000 + 1),
           CASE part.code WHEN '' THEN '' WHEN 'tax' THEN '' ELSE part.code || i %% 3 END,
           CASE part.code WHEN 'tax' THEN 'tax_' || i %% 4 ELSE '' END, part.term
    FROM generate_series(%(first)s::bigint, %(last)s) i,
         (VALUES (0, 1, '1105', 'debit', 12, '', 0), (0, 2, '2000', 'credit', 6, 'damage_', 1),
                 (0, 3, '2000', 'credit', 3, 'liability_', 1), (0, 4, '2100', 'credit', 2, 'tax', 1),
                 (0, 5, '4100', 'credit', 1, '', 1), (1, 1, '1100', 'debit', 12, '', 0),
                 (1, 2, '1105', 'credit', 12, '', 0), (2, 1, '1010', 'debit', 12, '', 0),
                 (2, 2, '1100', 'credit', 12, '', 0)) part (number, line, account, side, share, code, term)
"""
_LIST = """
    INSERT INTO unsummed_journals (journal_id)
    SELECT lpad(to_hex(i), 32, '0')::uuid FROM generate_series(%(first)s::bigint * 3, %(last)s * 3 + 2) i
"""


def fill(url: str, first: str, last: str, every: str) -> None:
    """Write what three journals of each policy say."""
    numbers = {"first": int(first), "last": int(last), "all": int(every)}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in (_JOURNALS, _POSTINGS, _LIST):
            connection.execute(statement.encode(), numbers)
        connection.execute("VACUUM ANALYZE")


def sum_up(url: str) -> None:
    """Sum all but what is entered meanwhile."""
    database = Database(url, load().db, "bench-books")
    database.open()
    close_days(database)
    database.close()


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(*sys.argv[2:])
    else:
        sum_up(sys.argv[2])
