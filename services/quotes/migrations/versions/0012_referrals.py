"""Quotes that underwriters decide on, and quotes for changes and next terms of policies with their segments."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns and tables. Programs of before leave them out; a referral that they make has no row yet."""
    op.execute("""
        ALTER TABLE quotes
            ADD COLUMN approved_rules jsonb,
            ADD COLUMN loadings jsonb,
            ADD COLUMN conditions jsonb,
            ADD COLUMN revised_by uuid,
            ADD COLUMN question text,
            ADD COLUMN answer_due_at timestamptz,
            ADD COLUMN timeline_sequence integer,
            ADD CONSTRAINT quotes_of_policy
                CHECK (kind = 'new_business' OR (policy_id IS NOT NULL AND timeline_sequence > 0)) NOT VALID;

        CREATE TABLE referrals (
            quote_id uuid NOT NULL REFERENCES quotes (id),
            revision integer NOT NULL CHECK (revision > 0),
            opened_at timestamptz NOT NULL,
            assignee uuid,
            information jsonb NOT NULL,
            verdict text CHECK (verdict IN ('approve', 'decline')),
            decided_by uuid,
            decided_at timestamptz,
            reason text NOT NULL,
            note text NOT NULL,
            PRIMARY KEY (quote_id, revision),
            CONSTRAINT referrals_decided CHECK ((verdict IS NULL) = (decided_by IS NULL AND decided_at IS NULL))
        );
        CREATE INDEX idx_referrals_assignee ON referrals (assignee) WHERE verdict IS NULL;

        CREATE TABLE quote_segments (
            quote_id uuid NOT NULL REFERENCES quotes (id),
            revision integer NOT NULL CHECK (revision > 0),
            number integer NOT NULL CHECK (number > 0),
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            answers jsonb NOT NULL,
            coverages jsonb NOT NULL,
            objects jsonb NOT NULL,
            is_changed boolean NOT NULL,
            net bigint NOT NULL CHECK (net >= 0),
            tax bigint NOT NULL CHECK (tax >= 0),
            fees bigint NOT NULL CHECK (fees >= 0),
            lines jsonb NOT NULL,
            PRIMARY KEY (quote_id, revision, number)
        );
        CREATE TRIGGER quote_segments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON quote_segments
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        DROP TRIGGER quotes_origin_fixed ON quotes;
        CREATE TRIGGER quotes_origin_fixed
            BEFORE UPDATE OF id, number, user_id, created_by, group_id, partner_id, kind, product_code, time_zone,
                currency, created_at, timeline_sequence
            ON quotes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)
