"""Delinquencies of policies, the steps of dunning, and what products say of them."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Make the tables, empty, and a column of invoices without a value, so that the lock is gone at once."""
    op.execute(_TABLES)


_TABLES = """
    -- What versions of products say of premium that is not paid, once quotes was asked. A version never changes.
    CREATE TABLE product_terms (
        product_code text NOT NULL,
        product_version integer NOT NULL,
        grace_days integer CHECK (grace_days >= 0),
        steps jsonb NOT NULL,
        PRIMARY KEY (product_code, product_version)
    );
    CREATE TRIGGER product_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON product_terms
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    CREATE TABLE delinquencies (
        id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES billing_accounts,
        version integer NOT NULL CHECK (version > 0),
        state text NOT NULL CHECK (state IN ('past_due', 'in_grace', 'lapsing', 'lapsed', 'settled')),
        due_on date NOT NULL,
        currency char(3) NOT NULL,
        amount bigint NOT NULL CHECK (amount >= 0),
        term_number integer NOT NULL CHECK (term_number > 0),
        opened_at timestamptz NOT NULL,
        grace_ends_on date,
        held_days integer NOT NULL CHECK (held_days >= 0),
        steps_done integer NOT NULL CHECK (steps_done >= 0),
        next_on date,
        suspended_on date,
        suspended_until date,
        suspension_reason text NOT NULL DEFAULT '',
        ending text CHECK (ending IN ('paid', 'policy_ended', 'reinstated')),
        ended_at timestamptz,
        CONSTRAINT delinquencies_version_unique UNIQUE (account_id, version),
        CHECK ((state = 'settled') = (ended_at IS NOT NULL)),
        CHECK ((suspended_on IS NULL) = (suspended_until IS NULL))
    );
    CREATE UNIQUE INDEX delinquencies_one_open ON delinquencies (account_id) WHERE state <> 'settled';
    CREATE INDEX idx_delinquencies_next_on ON delinquencies (account_id, next_on) WHERE next_on IS NOT NULL;
    CREATE FUNCTION refuse_change_of_settled() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a delinquency at its end does not change, and its version only grows'
            USING ERRCODE = 'insufficient_privilege';
    END $$;
    CREATE TRIGGER delinquencies_end_is_final BEFORE UPDATE ON delinquencies FOR EACH ROW
        WHEN (OLD.state = 'settled' OR NEW.version < OLD.version OR (NEW.id, NEW.account_id, NEW.due_on)
              IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.due_on))
        EXECUTE FUNCTION refuse_change_of_settled();
    CREATE TRIGGER delinquencies_kept BEFORE DELETE OR TRUNCATE ON delinquencies
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- What was done of it. A step is done once.
    CREATE TABLE dunning_steps (
        delinquency_id uuid NOT NULL REFERENCES delinquencies,
        number integer NOT NULL CHECK (number > 0),
        action text NOT NULL CHECK (action IN ('retry', 'remind', 'notice', 'lapse')),
        day integer NOT NULL CHECK (day >= 0),
        amount bigint NOT NULL,
        grace_ends_on date NOT NULL,
        done_at timestamptz NOT NULL,
        PRIMARY KEY (delinquency_id, number)
    );
    CREATE TRIGGER dunning_steps_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON dunning_steps
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- When the run saw that an invoice is past due.
    ALTER TABLE invoices ADD COLUMN past_due_at timestamptz;
"""
