"""Offers of next terms, and what was decided of them."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the tables, and the columns that say of a policy what every read of it shows."""
    op.execute("""
        CREATE TABLE renewals (
            policy_id uuid NOT NULL REFERENCES policies,
            term_number integer NOT NULL CHECK (term_number > 1),
            quote_id uuid NOT NULL,
            timeline_sequence integer NOT NULL CHECK (timeline_sequence > 0),
            starts_on date NOT NULL,
            offered_at timestamptz NOT NULL,
            PRIMARY KEY (policy_id, term_number)
        );
        CREATE INDEX idx_renewals_starts_on ON renewals (starts_on, policy_id);
        CREATE TABLE renewal_decisions (
            policy_id uuid NOT NULL REFERENCES policies,
            version integer NOT NULL CHECK (version > 0),
            preference text NOT NULL CHECK (preference IN ('auto', 'manual', 'none')),
            is_insurers boolean NOT NULL,
            reason text NOT NULL,
            actor text NOT NULL CHECK (actor <> ''),
            decided_at timestamptz NOT NULL,
            PRIMARY KEY (policy_id, version)
        );
        CREATE TRIGGER renewal_decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON renewal_decisions
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        ALTER TABLE policies
            ADD COLUMN is_not_renewed boolean NOT NULL DEFAULT false,
            ADD COLUMN offered_term integer;
    """)
