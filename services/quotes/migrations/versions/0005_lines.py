"""What the price of a quote is made of, and the transaction of the policy that took the quote."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add both; programs of before leave them out. Lines that are there never change."""
    op.execute("""
        ALTER TABLE quotes ADD COLUMN lines jsonb;
        ALTER TABLE quotes ADD COLUMN bound_transaction_id uuid;
        ALTER TABLE quotes ADD CONSTRAINT quotes_bound_transaction
            CHECK (bound_transaction_id IS NULL OR state = 'bound') NOT VALID;
        CREATE TRIGGER quotes_lines_fixed BEFORE UPDATE OF lines ON quotes
            FOR EACH ROW WHEN (OLD.lines IS NOT NULL) EXECUTE FUNCTION refuse_change();
    """)
