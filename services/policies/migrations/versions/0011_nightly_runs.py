"""Nightly runs: how far each is, and what it could not do."""

from alembic import op

from libs.db import frozen

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    op.execute(frozen.NIGHTLY_RUNS)
