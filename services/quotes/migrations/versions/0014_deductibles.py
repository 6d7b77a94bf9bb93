"""Deductibles that underwriters set when they approve a quote."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column, which is empty: no row is written or looked at."""
    op.execute("ALTER TABLE quotes ADD COLUMN deductibles jsonb")
