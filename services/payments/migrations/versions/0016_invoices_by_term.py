"""Billing each installment of a term once, where there are several terms."""

from libs.db import migrations

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the index."""
    migrations.create_index(
        "invoices_installment_of_term", "invoices (policy_id, term_number, installment_number)", unique=True
    )
