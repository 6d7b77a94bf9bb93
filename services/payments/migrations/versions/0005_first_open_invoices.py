"""Finding the first invoices whose time may be over."""

from libs.db import migrations

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index("idx_invoices_first_open", "invoices (id) WHERE status = 'open' AND installment_number = 1")
