"""Which try to collect an invoice a payment is."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the column; programs of before leave it empty, as payments that payers begin do. No row is written for it."""
    op.execute("ALTER TABLE payments ADD COLUMN attempt text NOT NULL DEFAULT ''")
