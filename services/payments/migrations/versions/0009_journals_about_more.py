"""Journals about accounts, claims and partners, or about no policy; postings by coverage, tax and term."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns. No row is written for them, so that the locks are gone at once.

    Programs of before go on: what they enter has the defaults.
    """
    op.execute("""
        ALTER TABLE journals
            ALTER COLUMN policy_id DROP NOT NULL,
            ADD COLUMN billing_account_id uuid,
            ADD COLUMN claim_id uuid,
            ADD COLUMN partner_id uuid,
            ADD COLUMN written_on date,
            ADD COLUMN trace_id text NOT NULL DEFAULT '';
        ALTER TABLE postings
            ADD COLUMN coverage_code text NOT NULL DEFAULT '',
            ADD COLUMN tax_code text NOT NULL DEFAULT '',
            ADD COLUMN term_number integer NOT NULL DEFAULT 0;
    """)
