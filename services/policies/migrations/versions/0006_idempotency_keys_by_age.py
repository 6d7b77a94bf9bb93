"""Finding the idempotency keys that are old enough to be forgotten."""

from libs.db import frozen, migrations

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index(*frozen.IDEMPOTENCY_KEYS_BY_AGE)
