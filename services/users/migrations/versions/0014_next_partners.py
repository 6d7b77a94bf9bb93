"""By which partner a customer will be served, from a day to come on."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns, which are empty: no row is written or looked at."""
    op.execute("""
        ALTER TABLE customers
            ADD COLUMN next_partner_id uuid,
            ADD COLUMN next_partner_since date,
            ADD CONSTRAINT customers_next_partner_id_fkey FOREIGN KEY (next_partner_id) REFERENCES partners NOT VALID,
            ADD CONSTRAINT customers_next_partner_has_day
                CHECK (next_partner_id IS NULL OR next_partner_since IS NOT NULL) NOT VALID
    """)
