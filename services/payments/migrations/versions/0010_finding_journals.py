"""Finding journals by their days, accounts and what they are about."""

from libs.db import migrations

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the indexes. One of what most journals do not have holds those that have it."""
    for name, on in (
        ("idx_journals_effective_on", "journals (effective_on, id)"),
        ("idx_journals_booked_at", "journals (booked_at)"),
        (
            "idx_journals_billing_account_id",
            "journals (billing_account_id, id DESC) WHERE billing_account_id IS NOT NULL",
        ),
        ("idx_journals_claim_id", "journals (claim_id, id DESC) WHERE claim_id IS NOT NULL"),
        ("idx_journals_partner_id", "journals (partner_id, id DESC) WHERE partner_id IS NOT NULL"),
        ("idx_journals_trace_id", "journals (trace_id) WHERE trace_id <> ''"),
        ("idx_postings_account_code", "postings (account_code, journal_id)"),
    ):
        migrations.create_index(name, on)
