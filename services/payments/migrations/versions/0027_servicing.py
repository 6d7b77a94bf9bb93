"""Transactions without money, that bring another holder, payer or partner."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Let them be applied."""
    op.execute("""
        ALTER TABLE applied_transactions
            DROP CONSTRAINT applied_transactions_kind_check,
            ADD CONSTRAINT applied_transactions_kind_check CHECK (kind IN (
                'new_business', 'not_taken', 'endorsement', 'renewal', 'cancellation', 'lapse', 'reinstatement',
                'reversal', 'servicing'
            )) NOT VALID
    """)
