"""Every account has known roles only."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Look at the rows of before: calls go on meanwhile."""
    op.execute("ALTER TABLE users VALIDATE CONSTRAINT users_roles_known")
