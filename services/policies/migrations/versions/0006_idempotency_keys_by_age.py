"""Finding the idempotency keys that are old enough to be forgotten."""

from libs.rpc import idempotency

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the index."""
    idempotency.index_by_age()
