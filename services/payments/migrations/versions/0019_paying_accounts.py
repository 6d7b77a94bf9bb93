"""How an account is paid: the day of the month, automatic payment; and payment methods that payers keep."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns. No row is written for them, so that the locks are gone at once."""
    op.execute("""
        ALTER TABLE billing_accounts
            ADD COLUMN due_day integer NOT NULL DEFAULT 0 CHECK (due_day BETWEEN 0 AND 28),
            ADD COLUMN autopay boolean NOT NULL DEFAULT false;
        ALTER TABLE payment_methods
            ADD COLUMN provider text NOT NULL DEFAULT '',
            ADD COLUMN display_name text NOT NULL DEFAULT '',
            ADD COLUMN mandate_text text NOT NULL DEFAULT '',
            ADD COLUMN is_default boolean NOT NULL DEFAULT false,
            ADD CHECK (is_kept OR NOT is_default);
        CREATE UNIQUE INDEX payment_methods_one_default ON payment_methods (customer_id) WHERE is_default;
    """)
