"""The idempotency keys of calls that register and change users."""

from alembic import op

from libs.db import frozen

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table, with the index that old keys are found by: it is empty, so that nobody waits for that."""
    op.execute(frozen.IDEMPOTENCY_KEYS)
    name, on = frozen.IDEMPOTENCY_KEYS_BY_AGE
    op.execute(f"CREATE INDEX {name} ON {on}")
