"""What somebody asked for and somebody else has to decide."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table. A decision is filled in once, and by somebody else than who asked."""
    op.execute("""
        CREATE TABLE approvals (
            id uuid PRIMARY KEY,
            policy_id uuid NOT NULL REFERENCES policies,
            action text NOT NULL CHECK (action <> ''),
            transaction_id uuid REFERENCES policy_transactions,
            with_gap boolean NOT NULL DEFAULT false,
            ask_reason text NOT NULL DEFAULT '',
            asked_by text NOT NULL CHECK (asked_by <> ''),
            asked_at timestamptz NOT NULL,
            needed text NOT NULL CHECK (needed <> ''),
            until timestamptz NOT NULL,
            decided_as text CHECK (decided_as IN ('approved', 'declined')),
            decided_by text NOT NULL DEFAULT '',
            decided_at timestamptz,
            decision_reason text NOT NULL DEFAULT '',
            CONSTRAINT approvals_four_eyes CHECK (decided_by <> asked_by),
            CONSTRAINT approvals_decided
                CHECK ((decided_as IS NULL) = (decided_at IS NULL) AND (decided_as IS NULL) = (decided_by = ''))
        );
        CREATE INDEX idx_approvals_policy_id ON approvals (policy_id, id DESC);
        CREATE INDEX idx_approvals_waiting ON approvals (id DESC) WHERE decided_as IS NULL;
        CREATE TRIGGER approvals_kept BEFORE DELETE OR TRUNCATE ON approvals
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER approvals_decided_once BEFORE UPDATE ON approvals FOR EACH ROW
            WHEN (OLD.decided_as IS NOT NULL
                OR (to_jsonb(OLD) - '{decided_as,decided_by,decided_at,decision_reason}'::text[])
                IS DISTINCT FROM (to_jsonb(NEW) - '{decided_as,decided_by,decided_at,decision_reason}'::text[]))
            EXECUTE FUNCTION refuse_change();
    """)
