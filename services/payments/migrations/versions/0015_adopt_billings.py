"""Making billing accounts of the billings that were opened before there were accounts."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_BATCH = 500


def upgrade() -> None:
    """Adopt them in steps, each a transaction of its own, so that no payment waits for all of them. May be repeated."""
    with op.get_context().autocommit_block():
        adopted = [UUID(int=0)]
        while adopted:
            adopted = list(op.get_bind().scalars(_ADOPT, {"after": adopted[-1], "batch": _BATCH}))


_ADOPT = sa.text("""
    WITH next AS MATERIALIZED (
        SELECT policy_id FROM billings WHERE policy_id > :after ORDER BY policy_id LIMIT :batch
    )
    SELECT policy_id, adopt_billing(policy_id) FROM next ORDER BY policy_id
""")
