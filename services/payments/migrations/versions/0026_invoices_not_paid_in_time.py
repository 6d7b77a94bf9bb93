"""Finding the invoices that fell due and that dunning has not seen yet."""

from libs.db import migrations

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index(
        "idx_invoices_not_seen_past_due",
        "invoices (policy_id, due_on) WHERE status IN ('open', 'partially_paid') AND past_due_at IS NULL",
    )
