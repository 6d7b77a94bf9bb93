"""Giving up the constraint that knew of one term only."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Drop it: the index of 0016 is in its place."""
    op.execute("ALTER TABLE invoices DROP CONSTRAINT invoices_installment_unique")
