"""Tax ids of customers: sealed, with a keyed hash to find them by and their last characters to show."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns, which are empty: no row is written or looked at."""
    op.execute("""
        ALTER TABLE customers
            ADD COLUMN tax_id_hash bytea,
            ADD COLUMN tax_id_sealed text,
            ADD COLUMN tax_id_ending text,
            ADD CONSTRAINT customers_tax_id_whole CHECK (
                num_nulls(tax_id_hash, tax_id_sealed, tax_id_ending) IN (0, 3) AND length(tax_id_hash) = 32
            ) NOT VALID
    """)
