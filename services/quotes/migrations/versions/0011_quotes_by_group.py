"""Finding the quotes of a group, and those that came by a partner."""

from libs.db import migrations

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the indexes."""
    migrations.create_index("idx_quotes_group_id", "quotes (group_id) WHERE group_id IS NOT NULL")
    migrations.create_index("idx_quotes_partner_id", "quotes (partner_id, id DESC) WHERE partner_id IS NOT NULL")
