"""Billings with their installments and invoices, payments, the ledger, and the sandbox provider's own book."""

from alembic import op

from libs.db import frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything that the service needs."""
    op.execute(frozen.IDEMPOTENCY_KEYS)
    op.execute(frozen.procrastinate_3_10())
    op.execute(_APPEND_ONLY)
    op.execute(_BILLING)
    op.execute(_PAYMENTS)
    op.execute(_LEDGER)


_APPEND_ONLY = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END $$;
"""

_BILLING = """
    CREATE TABLE billings (
        policy_id uuid CONSTRAINT billings_policy_unique PRIMARY KEY,
        user_id uuid NOT NULL,
        transaction_id uuid NOT NULL,
        plan_code text NOT NULL,
        starts_on date NOT NULL,
        issued_at timestamptz NOT NULL,
        currency char(3) NOT NULL,
        net bigint NOT NULL CHECK (net >= 0),
        tax bigint NOT NULL CHECK (tax >= 0),
        fees bigint NOT NULL CHECK (fees >= 0),
        payment_method text NOT NULL DEFAULT ''
    );

    CREATE TABLE installments (
        policy_id uuid NOT NULL REFERENCES billings,
        number integer NOT NULL CHECK (number > 0),
        due_on date NOT NULL,
        net bigint NOT NULL CHECK (net >= 0),
        tax bigint NOT NULL CHECK (tax >= 0),
        fees bigint NOT NULL CHECK (fees >= 0),
        PRIMARY KEY (policy_id, number),
        CHECK (net + tax + fees > 0)
    );
    CREATE INDEX idx_installments_due_on ON installments (due_on);

    -- What is split adds up to what was split: checked when everything of the transaction is there.
    CREATE FUNCTION check_installments_add_up() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        billed billings;
        parts record;
    BEGIN
        SELECT * INTO billed FROM billings WHERE policy_id = NEW.policy_id;
        SELECT sum(net) AS net, sum(tax) AS tax, sum(fees) AS fees INTO parts
            FROM installments WHERE policy_id = NEW.policy_id;
        IF (parts.net, parts.tax, parts.fees) IS DISTINCT FROM (billed.net, billed.tax, billed.fees) THEN
            RAISE EXCEPTION 'the installments of % do not add up to its price', NEW.policy_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'installments_add_up';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER billings_add_up AFTER INSERT ON billings
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_installments_add_up();
    CREATE CONSTRAINT TRIGGER installments_add_up AFTER INSERT ON installments
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_installments_add_up();
    CREATE TRIGGER billings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON billings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER installments_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON installments
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- Numbers run by year; the row is locked while a number is taken, so that none is skipped.
    CREATE TABLE invoice_numbers (
        year integer PRIMARY KEY,
        last integer NOT NULL
    );

    CREATE TABLE invoices (
        id uuid PRIMARY KEY,
        number text NOT NULL CONSTRAINT invoices_number_unique UNIQUE,
        user_id uuid NOT NULL,
        policy_id uuid NOT NULL,
        installment_number integer NOT NULL,
        status text NOT NULL CHECK (status IN ('open', 'paid', 'void')),
        issued_at timestamptz NOT NULL,
        paid_at timestamptz,
        version integer NOT NULL DEFAULT 1,
        CONSTRAINT invoices_installment_unique UNIQUE (policy_id, installment_number),
        FOREIGN KEY (policy_id, installment_number) REFERENCES installments (policy_id, number),
        CHECK ((status = 'paid') = (paid_at IS NOT NULL))
    );
    CREATE INDEX idx_invoices_user_id ON invoices (user_id, id DESC);
"""

_PAYMENTS = """
    CREATE TABLE payments (
        id uuid PRIMARY KEY,
        invoice_id uuid NOT NULL REFERENCES invoices,
        user_id uuid NOT NULL,
        amount bigint NOT NULL CHECK (amount > 0),
        currency char(3) NOT NULL,
        status text NOT NULL CHECK (status IN ('processing', 'requires_action', 'succeeded', 'declined', 'canceled')),
        provider text NOT NULL,
        provider_reference text NOT NULL DEFAULT '',
        decline_code text NOT NULL DEFAULT '',
        action_url text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL,
        completed_at timestamptz,
        version integer NOT NULL DEFAULT 1,
        CHECK ((status IN ('processing', 'requires_action')) = (completed_at IS NULL))
    );
    CREATE INDEX idx_payments_status ON payments (status);
    CREATE INDEX idx_payments_user_id ON payments (user_id, id DESC);
    CREATE INDEX idx_payments_invoice_id ON payments (invoice_id);
    -- However many calls and jobs there are: one payment of an invoice at a time, and one that succeeds.
    CREATE UNIQUE INDEX payments_one_open ON payments (invoice_id)
        WHERE status IN ('processing', 'requires_action');
    CREATE UNIQUE INDEX payments_one_succeeded ON payments (invoice_id) WHERE status = 'succeeded';

    CREATE FUNCTION refuse_change_of_end() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'payment % came to its end', OLD.id USING ERRCODE = 'insufficient_privilege';
    END $$;
    CREATE TRIGGER payments_end_is_final BEFORE UPDATE ON payments
        FOR EACH ROW WHEN (OLD.completed_at IS NOT NULL) EXECUTE FUNCTION refuse_change_of_end();
    CREATE TRIGGER payments_kept BEFORE DELETE OR TRUNCATE ON payments
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- The sandbox provider's book. It stands for another company: no foreign key leads here or away.
    CREATE TABLE sandbox_charges (
        payment_id uuid PRIMARY KEY,
        reference text NOT NULL UNIQUE,
        amount bigint NOT NULL,
        currency char(3) NOT NULL,
        status text NOT NULL CHECK (status IN ('charged', 'declined', 'action_required', 'canceled')),
        decline_code text NOT NULL DEFAULT '',
        created_at timestamptz NOT NULL DEFAULT now()
    );
"""

_LEDGER = """
    CREATE TABLE accounts (
        code text PRIMARY KEY,
        name text NOT NULL,
        normal text NOT NULL CHECK (normal IN ('debit', 'credit'))
    );
    INSERT INTO accounts (code, name, normal) VALUES
        ('1000', 'Bank', 'debit'),
        ('1010', 'Gateway clearing', 'debit'),
        ('1015', 'Disputed funds', 'debit'),
        ('1100', 'Premium receivable (invoiced)', 'debit'),
        ('1105', 'Premium receivable (unbilled)', 'debit'),
        ('1110', 'Producer clawback receivable', 'debit'),
        ('1120', 'Claim recoveries receivable', 'debit'),
        ('1190', 'Deferred acquisition cost', 'debit'),
        ('2000', 'Unearned premium', 'credit'),
        ('2100', 'Premium tax payable', 'credit'),
        ('2200', 'Commission payable', 'credit'),
        ('2300', 'Customer credit balance', 'credit'),
        ('2310', 'Refunds payable', 'credit'),
        ('2400', 'Case reserves', 'credit'),
        ('2410', 'Claims payable', 'credit'),
        ('2500', 'Due to carrier', 'credit'),
        ('2900', 'Unidentified receipts', 'credit'),
        ('4000', 'Earned premium', 'credit'),
        ('4100', 'Policy fees', 'credit'),
        ('4110', 'Cancellation retention', 'credit'),
        ('4200', 'Commission income', 'credit'),
        ('5000', 'Claims incurred', 'debit'),
        ('5010', 'Claim expenses', 'debit'),
        ('5100', 'Commission expense', 'debit'),
        ('5200', 'Processor fees', 'debit'),
        ('5210', 'Dispute losses and fees', 'debit'),
        ('5300', 'Bad debt', 'debit'),
        ('5900', 'Rounding', 'debit');

    -- The currency stands here and not on the postings, so that a journal cannot hold two.
    CREATE TABLE journals (
        id uuid PRIMARY KEY,
        rule text NOT NULL,
        source_id text NOT NULL,
        policy_id uuid NOT NULL,
        currency char(3) NOT NULL,
        effective_on date NOT NULL,
        booked_at timestamptz NOT NULL,
        lines integer NOT NULL CHECK (lines >= 2),
        CONSTRAINT journals_source_unique UNIQUE (rule, source_id)
    );
    CREATE INDEX idx_journals_policy_id ON journals (policy_id, id DESC);

    CREATE TABLE postings (
        journal_id uuid NOT NULL REFERENCES journals,
        line integer NOT NULL CHECK (line > 0),
        account_code text NOT NULL REFERENCES accounts,
        side text NOT NULL CHECK (side IN ('debit', 'credit')),
        amount bigint NOT NULL CHECK (amount > 0),
        PRIMARY KEY (journal_id, line)
    );

    -- Checked at commit. The number of lines keeps a journal from being added to in a later transaction.
    CREATE FUNCTION check_journal_balances() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        journal uuid := CASE TG_TABLE_NAME WHEN 'journals' THEN to_jsonb(NEW) ->> 'id'
                        ELSE to_jsonb(NEW) ->> 'journal_id' END;
        sums record;
    BEGIN
        SELECT count(*) AS lines,
               sum(amount) FILTER (WHERE side = 'debit') AS debits,
               sum(amount) FILTER (WHERE side = 'credit') AS credits
            INTO sums FROM postings WHERE journal_id = journal;
        IF sums.debits IS DISTINCT FROM sums.credits
           OR sums.lines <> (SELECT lines FROM journals WHERE id = journal) THEN
            RAISE EXCEPTION 'journal % does not balance', journal
                USING ERRCODE = 'check_violation', CONSTRAINT = 'journals_balance';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER journals_balance AFTER INSERT ON journals
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal_balances();
    CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON postings
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_journal_balances();
    CREATE TRIGGER journals_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER accounts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
