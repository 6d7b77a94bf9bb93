"""Listing what is still to be billed of the policies that came into force before there was a list."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_BATCH = 1000


def upgrade() -> None:
    """List them in steps, each a transaction of its own, so that no payment waits for all of them. May be repeated.

    One that is billed in the meantime may stay on the list; the job that bills finds its invoice, and strikes it.
    """
    with op.get_context().autocommit_block():
        listed = [UUID(int=0)]
        while listed:
            listed = list(op.get_bind().scalars(_LIST, {"after": listed[-1], "batch": _BATCH}))


_LIST = sa.text("""
    WITH in_force AS MATERIALIZED (
        SELECT policy_id FROM invoices
        WHERE installment_number = 1 AND status = 'paid' AND policy_id > :after
        ORDER BY policy_id LIMIT :batch
    )
    SELECT policy_id, list_unbilled(policy_id) FROM in_force ORDER BY policy_id
""")
