"""Finding the idempotency keys that are old enough to be forgotten."""

from libs.rpc import idempotency

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the index."""
    idempotency.index_by_age()
