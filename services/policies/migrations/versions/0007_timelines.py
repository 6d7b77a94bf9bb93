"""Versions of the timeline: what is insured when, at which price, as each transaction left it."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make them beside `terms` and `segments`, which programs of before go on to fill and to read."""
    op.execute("""
        -- Comparing an identifier and days in one constraint; whoever owns the database may add it.
        CREATE EXTENSION IF NOT EXISTS btree_gist;

        -- Policies of before, and of programs of before, get their timeline from a job.
        ALTER TABLE policies
            ADD COLUMN created_by uuid,
            ADD COLUMN payer_id uuid,
            ADD COLUMN partner_id uuid,
            ADD COLUMN has_timeline boolean NOT NULL DEFAULT false;
        CREATE INDEX idx_policies_without_timeline ON policies (id) WHERE NOT has_timeline;
        CREATE INDEX idx_policies_partner_id ON policies (partner_id, id DESC) WHERE partner_id IS NOT NULL;

        ALTER TABLE policy_transactions
            DROP CONSTRAINT policy_transactions_type_check,
            ADD CONSTRAINT policy_transactions_type_check CHECK (type IN (
                'new_business', 'activation', 'not_taken', 'endorsement', 'renewal', 'cancellation', 'lapse',
                'reinstatement', 'reversal'
            )) NOT VALID,
            ADD COLUMN term_number integer NOT NULL DEFAULT 1,
            ADD COLUMN change jsonb,
            ADD COLUMN reason text NOT NULL DEFAULT '',
            ADD COLUMN actor text NOT NULL DEFAULT '',
            ADD COLUMN reverses uuid REFERENCES policy_transactions,
            ADD COLUMN quote_id uuid,
            ADD COLUMN billing_sequence integer CHECK (billing_sequence > 0),
            ADD COLUMN lines jsonb;
        CREATE UNIQUE INDEX policy_transactions_reversed_once ON policy_transactions (reverses)
            WHERE reverses IS NOT NULL;
        CREATE UNIQUE INDEX policy_transactions_quote_once ON policy_transactions (quote_id)
            WHERE quote_id IS NOT NULL;
        CREATE UNIQUE INDEX policy_transactions_billing_sequence ON policy_transactions (policy_id, billing_sequence)
            WHERE billing_sequence IS NOT NULL;

        -- What a transaction of before lacks may be filled in, once.
        DROP TRIGGER policy_transactions_append_only ON policy_transactions;
        CREATE TRIGGER policy_transactions_append_only BEFORE DELETE OR TRUNCATE ON policy_transactions
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER policy_transactions_filled_once BEFORE UPDATE ON policy_transactions FOR EACH ROW
            WHEN (OLD.lines IS NOT NULL OR (to_jsonb(OLD) - '{lines,quote_id,billing_sequence,actor}'::text[])
                IS DISTINCT FROM (to_jsonb(NEW) - '{lines,quote_id,billing_sequence,actor}'::text[]))
            EXECUTE FUNCTION refuse_change();

        -- A term as a transaction left it. `segments_of` is the transaction whose segments hold in this version.
        CREATE TABLE timelines (
            transaction_id uuid NOT NULL REFERENCES policy_transactions,
            term_number integer NOT NULL CHECK (term_number > 0),
            policy_id uuid NOT NULL,
            sequence integer NOT NULL,
            issued_at timestamptz NOT NULL,
            segments_of uuid NOT NULL,
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            cover_starts_at timestamptz,
            ended_as text CHECK (ended_as IN ('not_taken', 'cancelled', 'lapsed')),
            ended_on date,
            product_version integer NOT NULL,
            currency char(3) NOT NULL,
            charges jsonb NOT NULL,
            PRIMARY KEY (transaction_id, term_number),
            CONSTRAINT timelines_ended CHECK ((ended_as IS NULL) = (ended_on IS NULL))
        );
        CREATE UNIQUE INDEX timelines_newest ON timelines (policy_id, term_number, sequence DESC);

        -- `lines` says what the whole term would cost on this risk, net, by object and coverage.
        CREATE TABLE timeline_segments (
            transaction_id uuid NOT NULL,
            term_number integer NOT NULL,
            number integer NOT NULL CHECK (number > 0),
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            answers jsonb NOT NULL,
            objects jsonb NOT NULL,
            coverages jsonb NOT NULL,
            lines jsonb NOT NULL,
            PRIMARY KEY (transaction_id, term_number, number),
            FOREIGN KEY (transaction_id, term_number) REFERENCES timelines,
            CONSTRAINT timeline_segments_apart
                EXCLUDE USING gist (transaction_id WITH =, daterange(starts_on, ends_on) WITH &&)
        );
        CREATE TRIGGER timelines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timelines
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER timeline_segments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline_segments
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        -- What is insured now and later, by what it is told by. It follows the newest timeline.
        CREATE TABLE policy_objects (
            policy_id uuid NOT NULL REFERENCES policies,
            object_id text NOT NULL,
            object_code text NOT NULL,
            product_code text NOT NULL,
            identifier text NOT NULL CHECK (identifier <> ''),
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            PRIMARY KEY (policy_id, object_id, starts_on)
        );
        CREATE INDEX idx_policy_objects_identifier ON policy_objects (identifier, policy_id);

        -- Numbers that wait for nobody: some are never given. Programs of before take theirs from it, too.
        CREATE SEQUENCE policy_number;
        SELECT setval('policy_number', greatest(1, max(last)), count(*) > 0) FROM policy_numbers;
        CREATE FUNCTION count_for_all() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.last := nextval('policy_number');
            RETURN NEW;
        END $$;
        CREATE TRIGGER policy_numbers_for_all BEFORE INSERT OR UPDATE ON policy_numbers FOR EACH ROW
            WHEN (NEW.product_code = upper(NEW.product_code)) EXECUTE FUNCTION count_for_all();
    """)
