"""One transaction of a policy binds one quote, and quotes of a policy are found; prices without lines too."""

from libs.db import migrations

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the indexes."""
    migrations.create_index(
        "quotes_transaction_unique", "quotes (bound_transaction_id) WHERE bound_transaction_id IS NOT NULL", unique=True
    )
    migrations.create_index("idx_quotes_policy_id", "quotes (policy_id, id DESC) WHERE policy_id IS NOT NULL")
    migrations.create_index("idx_quotes_without_lines", "quotes (id) WHERE lines IS NULL")
