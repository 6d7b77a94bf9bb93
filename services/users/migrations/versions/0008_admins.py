"""Finding the few admins among all users."""

from libs.db import migrations

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index("idx_users_admins", "users (id) WHERE 'admin' = ANY (roles)")
