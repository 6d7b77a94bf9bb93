"""Refunds: what is paid back of payments, the credit that it comes from, and the sandbox provider's book of it."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Make the tables. What is checked of credits from now on held before, so that it is not looked at again."""
    op.execute(_REFUNDS)
    op.execute(_CREDITS)
    op.execute(_SANDBOX)


_REFUNDS = """
    CREATE TABLE refunds (
        id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES billing_accounts,
        user_id uuid NOT NULL,
        partner_id uuid,
        amount bigint NOT NULL CHECK (amount > 0),
        currency char(3) NOT NULL,
        time_zone text NOT NULL,
        status text NOT NULL CHECK (status IN ('pending_approval', 'approved', 'sent', 'succeeded', 'failed',
            'returned')),
        not_before date NOT NULL,
        transaction_id uuid REFERENCES applied_transactions,
        requested_by uuid,
        decided_by uuid,
        note text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL,
        completed_at timestamptz,
        version integer NOT NULL DEFAULT 1,
        CHECK (requested_by <> decided_by),
        CHECK (num_nonnulls(transaction_id, requested_by) <= 1)
    );
    CREATE INDEX idx_refunds_account_id ON refunds (account_id, id DESC);
    CREATE INDEX idx_refunds_user_id ON refunds (user_id, id DESC);
    CREATE INDEX idx_refunds_partner_id ON refunds (partner_id, id DESC) WHERE partner_id IS NOT NULL;
    CREATE INDEX idx_refunds_status ON refunds (status, id) WHERE status NOT IN ('succeeded', 'returned');
    CREATE TRIGGER refunds_kept BEFORE DELETE OR TRUNCATE ON refunds
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- What goes back to one payment. Its identifier is the provider's: one that failed is tried again as another row.
    CREATE TABLE refund_parts (
        id uuid PRIMARY KEY,
        refund_id uuid NOT NULL REFERENCES refunds,
        payment_id uuid NOT NULL REFERENCES payments,
        attempt integer NOT NULL CHECK (attempt > 0),
        amount bigint NOT NULL CHECK (amount > 0),
        status text NOT NULL CHECK (status IN ('waiting', 'sent', 'succeeded', 'failed', 'returned')),
        provider_reference text NOT NULL DEFAULT '',
        failure_code text NOT NULL DEFAULT '',
        sent_at timestamptz,
        completed_at timestamptz,
        UNIQUE (refund_id, payment_id, attempt)
    );
    CREATE INDEX idx_refund_parts_payment_id ON refund_parts (payment_id);
    CREATE TRIGGER refund_parts_kept BEFORE DELETE OR TRUNCATE ON refund_parts
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- Never is more paid back of a payment than was captured, nor money that was not.
    CREATE FUNCTION check_refunded() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        captured payments;
    BEGIN
        SELECT * INTO captured FROM payments WHERE id = NEW.payment_id FOR SHARE;
        IF captured.status <> 'succeeded' OR captured.amount < (
            SELECT sum(amount) FROM refund_parts
            WHERE payment_id = NEW.payment_id AND status NOT IN ('failed', 'returned')
        ) THEN
            RAISE EXCEPTION 'refund % pays back more than was captured by payment %', NEW.refund_id, NEW.payment_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_not_above_captured';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER refunds_not_above_captured AFTER INSERT OR UPDATE OF status ON refund_parts
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status NOT IN ('failed', 'returned'))
        EXECUTE FUNCTION check_refunded();
"""

_CREDITS = """
    -- A refund takes of the credit, and gives back to it what is not sent.
    ALTER TABLE credits
        ADD COLUMN refund_id uuid REFERENCES refunds,
        DROP CONSTRAINT credits_check,
        DROP CONSTRAINT credits_check1,
        ADD CONSTRAINT credits_one_origin
            CHECK (num_nonnulls(transaction_id, payment_id, allocation_id, refund_id) = 1) NOT VALID,
        ADD CONSTRAINT credits_signs CHECK (refund_id IS NOT NULL OR (amount < 0) = (allocation_id IS NOT NULL))
            NOT VALID;
"""

_SANDBOX = """
    ALTER TABLE sandbox_charges ADD COLUMN card text NOT NULL DEFAULT '';
    CREATE TABLE sandbox_refunds (
        refund_id uuid PRIMARY KEY,
        payment_id uuid NOT NULL,
        reference text NOT NULL UNIQUE,
        amount bigint NOT NULL,
        currency char(3) NOT NULL,
        status text NOT NULL CHECK (status IN ('pending', 'refunded', 'failed')),
        failure_code text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX idx_sandbox_refunds_payment_id ON sandbox_refunds (payment_id);
"""
