"""Finding the quotes that wait for an underwriter."""

from libs.db import migrations

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index("idx_quotes_referred", "quotes (valid_until) WHERE state = 'referred'")
