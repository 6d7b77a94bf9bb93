"""Policies, terms, segments and the stack of transactions that they are derived from."""

from alembic import op

from libs.db import frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything that the service needs."""
    op.execute(frozen.IDEMPOTENCY_KEYS)
    op.execute(frozen.procrastinate_3_10())
    op.execute("""
        CREATE TABLE policies (
            id uuid PRIMARY KEY,
            number text NOT NULL CONSTRAINT policies_number_unique UNIQUE,
            user_id uuid NOT NULL,
            quote_id uuid NOT NULL CONSTRAINT policies_quote_unique UNIQUE,
            product_code text NOT NULL,
            product_version integer NOT NULL,
            plan_code text NOT NULL,
            time_zone text NOT NULL,
            issued_at timestamptz NOT NULL,
            activated_at timestamptz,
            version integer NOT NULL DEFAULT 1
        );
        CREATE INDEX idx_policies_user_id ON policies (user_id, id DESC);

        -- Numbers run by product and year; the row is locked while a number is taken, so that none is skipped.
        CREATE TABLE policy_numbers (
            product_code text,
            year integer,
            last integer NOT NULL,
            PRIMARY KEY (product_code, year)
        );

        CREATE TABLE policy_transactions (
            id uuid PRIMARY KEY,
            policy_id uuid NOT NULL REFERENCES policies,
            sequence integer NOT NULL CHECK (sequence > 0),
            type text NOT NULL CHECK (type IN ('new_business', 'activation')),
            effective_on date NOT NULL,
            issued_at timestamptz NOT NULL,
            premium_change bigint NOT NULL,
            currency char(3) NOT NULL,
            source_id text NOT NULL DEFAULT '',
            CONSTRAINT policy_transactions_sequence UNIQUE (policy_id, sequence)
        );

        CREATE TABLE terms (
            policy_id uuid NOT NULL REFERENCES policies,
            number integer NOT NULL CHECK (number > 0),
            transaction_id uuid NOT NULL REFERENCES policy_transactions,
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            PRIMARY KEY (policy_id, number)
        );

        CREATE TABLE segments (
            policy_id uuid NOT NULL,
            term_number integer NOT NULL,
            number integer NOT NULL CHECK (number > 0),
            transaction_id uuid NOT NULL REFERENCES policy_transactions,
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            currency char(3) NOT NULL,
            net bigint NOT NULL CHECK (net >= 0),
            tax bigint NOT NULL CHECK (tax >= 0),
            fees bigint NOT NULL CHECK (fees >= 0),
            coverages jsonb NOT NULL,
            PRIMARY KEY (policy_id, term_number, number),
            FOREIGN KEY (policy_id, term_number) REFERENCES terms (policy_id, number)
        );

        -- The stack is history: what was issued is never changed and never taken away, whoever asks.
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER policy_transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_transactions
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON terms
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER segments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON segments
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)
