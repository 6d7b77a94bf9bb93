"""Finding customers by their tax ids."""

from libs.db import migrations

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index("idx_customers_tax_id_hash", "customers (tax_id_hash) WHERE tax_id_hash IS NOT NULL")
