"""Billing accounts with the transactions that were applied to them, schedules, items of invoices, settling in parts."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the tables beside those of before, empty. Triggers keep them while programs of before are at work.

    Those write billings, installments and paid invoices; `adopt_billing` makes of them what today's programs write.
    """
    op.execute(_ACCOUNTS)
    op.execute(_SCHEDULES)
    op.execute(_INVOICES)
    op.execute(_SETTLING)
    op.execute(_ADOPTING)


_ACCOUNTS = """
    -- What a payer can be charged with. Rows are deleted: it is forgotten then.
    CREATE TABLE payment_methods (
        id uuid PRIMARY KEY,
        customer_id uuid NOT NULL,
        token text NOT NULL,
        is_kept boolean NOT NULL,
        created_at timestamptz NOT NULL
    );
    CREATE INDEX idx_payment_methods_customer_id ON payment_methods (customer_id, id);

    CREATE TABLE billing_accounts (
        id uuid PRIMARY KEY,
        customer_id uuid NOT NULL,
        payer_id uuid NOT NULL,
        partner_id uuid,
        currency char(3) NOT NULL,
        time_zone text NOT NULL,
        opened_at timestamptz NOT NULL,
        last_sequence integer NOT NULL CHECK (last_sequence > 0),
        payment_method_id uuid REFERENCES payment_methods ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
        withdrawn_at timestamptz,
        version integer NOT NULL DEFAULT 1
    );
    CREATE INDEX idx_billing_accounts_customer_id ON billing_accounts (customer_id, id DESC);
    CREATE INDEX idx_billing_accounts_partner_id ON billing_accounts (partner_id, id DESC)
        WHERE partner_id IS NOT NULL;
    CREATE INDEX idx_billing_accounts_payment_method_id ON billing_accounts (payment_method_id)
        WHERE payment_method_id IS NOT NULL;

    -- The fingerprint and the reply are those of a call; what was billed before there was that call has none.
    CREATE TABLE applied_transactions (
        transaction_id uuid CONSTRAINT applied_transactions_unique PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES billing_accounts,
        sequence integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('new_business', 'not_taken', 'endorsement', 'renewal', 'cancellation',
            'lapse', 'reinstatement', 'reversal')),
        term_number integer NOT NULL CHECK (term_number > 0),
        product_code text NOT NULL,
        product_version integer NOT NULL,
        term_starts_on date NOT NULL,
        term_ends_on date,
        effective_on date NOT NULL,
        issued_at timestamptz NOT NULL,
        plan_code text NOT NULL,
        total bigint NOT NULL,
        reverses uuid,
        reason text NOT NULL DEFAULT '',
        applied_at timestamptz NOT NULL,
        fingerprint bytea,
        reply bytea,
        CONSTRAINT applied_transactions_in_order UNIQUE (account_id, sequence)
    );
    CREATE TABLE charge_lines (
        transaction_id uuid NOT NULL REFERENCES applied_transactions,
        number integer NOT NULL,
        term_number integer NOT NULL,
        kind text NOT NULL CHECK (kind IN ('premium', 'tax', 'fee', 'retention')),
        coverage_code text NOT NULL DEFAULT '',
        charge_code text NOT NULL DEFAULT '',
        object_id text NOT NULL DEFAULT '',
        starts_on date NOT NULL,
        ends_on date,
        amount bigint NOT NULL,
        commissionable boolean NOT NULL,
        PRIMARY KEY (transaction_id, number)
    );
    CREATE TABLE timeline_lines (
        transaction_id uuid NOT NULL REFERENCES applied_transactions,
        number integer NOT NULL,
        term_number integer NOT NULL,
        object_id text NOT NULL,
        coverage_code text NOT NULL,
        starts_on date NOT NULL,
        ends_on date NOT NULL CHECK (ends_on > starts_on),
        full_term_amount bigint NOT NULL,
        term_days integer NOT NULL CHECK (term_days > 0),
        PRIMARY KEY (transaction_id, number)
    );
    CREATE TRIGGER charge_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON charge_lines
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER timeline_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline_lines
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER applied_transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON applied_transactions
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

_SCHEDULES = """
    CREATE TABLE schedules (
        id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES billing_accounts,
        transaction_id uuid NOT NULL REFERENCES applied_transactions,
        term_number integer NOT NULL CHECK (term_number > 0)
    );
    CREATE INDEX idx_schedules_account_id ON schedules (account_id, id);

    -- `columns` has the minor units by kind and code, as `tax:premium_tax`; one of them may be negative.
    CREATE TABLE schedule_installments (
        schedule_id uuid NOT NULL REFERENCES schedules,
        number integer NOT NULL CHECK (number > 0),
        due_on date NOT NULL,
        columns jsonb NOT NULL,
        total bigint NOT NULL CHECK (total > 0),
        state text NOT NULL CHECK (state IN ('planned', 'invoiced', 'superseded')),
        PRIMARY KEY (schedule_id, number)
    );
    CREATE INDEX idx_schedule_installments_planned ON schedule_installments (due_on, schedule_id, number)
        WHERE state = 'planned';

    CREATE FUNCTION refuse_change_of_installment() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'an installment only changes once, from planned to invoiced or superseded'
            USING ERRCODE = 'insufficient_privilege';
    END $$;
    CREATE TRIGGER schedule_installments_fixed BEFORE UPDATE ON schedule_installments FOR EACH ROW
        WHEN (OLD.state <> 'planned' OR (NEW.schedule_id, NEW.number, NEW.due_on, NEW.columns, NEW.total)
              IS DISTINCT FROM (OLD.schedule_id, OLD.number, OLD.due_on, OLD.columns, OLD.total))
        EXECUTE FUNCTION refuse_change_of_installment();
    CREATE TRIGGER schedule_installments_kept BEFORE DELETE OR TRUNCATE ON schedule_installments
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    CREATE TRIGGER schedules_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON schedules
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

_INVOICES = """
    -- An invoice says itself what it demands: it is no longer that of a row of `installments`.
    ALTER TABLE invoices
        ADD COLUMN partner_id uuid,
        ADD COLUMN term_number integer NOT NULL DEFAULT 1,
        ADD COLUMN due_on date,
        ADD COLUMN currency char(3),
        ADD COLUMN total bigint,
        ADD COLUMN settled bigint NOT NULL DEFAULT 0,
        ADD COLUMN time_zone text,
        ADD COLUMN payable_until timestamptz,
        ALTER COLUMN installment_number DROP NOT NULL,
        DROP CONSTRAINT invoices_policy_id_installment_number_fkey,
        DROP CONSTRAINT invoices_status_check,
        ADD CONSTRAINT invoices_status_check
            CHECK (status IN ('open', 'partially_paid', 'paid', 'void', 'written_off')) NOT VALID;

    CREATE TABLE invoice_items (
        invoice_id uuid NOT NULL REFERENCES invoices,
        kind text NOT NULL CHECK (kind IN ('premium', 'tax', 'fee', 'retention')),
        charge_code text NOT NULL,
        amount bigint NOT NULL,
        PRIMARY KEY (invoice_id, kind, charge_code)
    );
    CREATE TRIGGER invoice_items_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice_items
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    -- Numbers are drawn by nobody who then waits: a transaction that is undone leaves a gap.
    CREATE SEQUENCE invoice_numbers_drawn;
    SELECT setval('invoice_numbers_drawn', coalesce(max(last), 0) + 1, false) FROM invoice_numbers;

    -- Programs of before take theirs from the row of the year: from the same sequence.
    CREATE FUNCTION draw_invoice_number() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NEW.last := nextval('invoice_numbers_drawn');
        RETURN NEW;
    END $$;
    CREATE TRIGGER invoice_numbers_drawn BEFORE INSERT OR UPDATE ON invoice_numbers
        FOR EACH ROW EXECUTE FUNCTION draw_invoice_number();
"""

_SETTLING = """
    -- Whole invoices were paid by one payment each; now what settles them adds up to no more than they demand.
    CREATE TABLE allocations (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        invoice_id uuid NOT NULL REFERENCES invoices,
        payment_id uuid REFERENCES payments,
        amount bigint NOT NULL CHECK (amount > 0),
        allocated_at timestamptz NOT NULL
    );
    CREATE INDEX idx_allocations_invoice_id ON allocations (invoice_id);
    CREATE UNIQUE INDEX allocations_payment_unique ON allocations (payment_id, invoice_id)
        WHERE payment_id IS NOT NULL;
    CREATE TRIGGER allocations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON allocations
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    CREATE FUNCTION check_allocations() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        billed record;
        allocated bigint;
    BEGIN
        SELECT settled, total INTO billed FROM invoices WHERE id = NEW.invoice_id;
        SELECT sum(amount) INTO allocated FROM allocations WHERE invoice_id = NEW.invoice_id;
        IF allocated > billed.total OR allocated <> billed.settled THEN
            RAISE EXCEPTION '% of % is allocated to invoice %, which says %', allocated, billed.total, NEW.invoice_id,
                billed.settled USING ERRCODE = 'check_violation', CONSTRAINT = 'allocations_add_up';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER allocations_add_up AFTER INSERT ON allocations
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_allocations();

    -- Movements of an account's credit: what was credited is positive, what it paid is negative.
    CREATE TABLE credits (
        id uuid PRIMARY KEY,
        account_id uuid NOT NULL REFERENCES billing_accounts,
        amount bigint NOT NULL CHECK (amount <> 0),
        transaction_id uuid REFERENCES applied_transactions,
        payment_id uuid REFERENCES payments,
        allocation_id uuid REFERENCES allocations,
        moved_at timestamptz NOT NULL,
        CHECK (num_nonnulls(transaction_id, payment_id, allocation_id) = 1),
        CHECK ((amount < 0) = (allocation_id IS NOT NULL))
    );
    CREATE INDEX idx_credits_account_id ON credits (account_id, id);
    CREATE TRIGGER credits_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credits
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

    CREATE FUNCTION check_credit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT sum(amount) FROM credits WHERE account_id = NEW.account_id) < 0 THEN
            RAISE EXCEPTION 'the credit of account % is less than nothing', NEW.account_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'credits_not_negative';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER credits_not_negative AFTER INSERT ON credits
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_credit();

    -- The account of a payment, of those that were begun since there are accounts: one at a time is under way.
    ALTER TABLE payments ADD COLUMN account_id uuid;
    CREATE UNIQUE INDEX payments_one_open_of_account ON payments (account_id)
        WHERE status IN ('processing', 'requires_action');
    DROP INDEX payments_one_succeeded;
"""

_ADOPTING = """
    -- Makes of a billing what it would be today. May be repeated, and go on where it was broken off.
    CREATE FUNCTION adopt_billing(policy uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        -- A token that is still to be used; all others are not taken along.
        INSERT INTO payment_methods (id, customer_id, token, is_kept, created_at)
            SELECT transaction_id, user_id, payment_method, false, issued_at FROM billings
            WHERE policy_id = policy AND payment_method <> '' AND NOT EXISTS (
                SELECT FROM invoices WHERE policy_id = policy AND installment_number = 1 AND status <> 'open'
            )
            ON CONFLICT DO NOTHING;
        INSERT INTO billing_accounts (id, customer_id, payer_id, currency, time_zone, opened_at, last_sequence,
                payment_method_id, withdrawn_at)
            SELECT policy_id, user_id, user_id, currency, time_zone, issued_at, 1, method.id, (
                SELECT issued_at FROM invoices WHERE policy_id = policy AND status = 'void' LIMIT 1
            )
            FROM billings LEFT JOIN payment_methods AS method ON method.id = transaction_id WHERE policy_id = policy
            ON CONFLICT DO NOTHING;
        INSERT INTO applied_transactions (transaction_id, account_id, sequence, kind, term_number, product_code,
                product_version, term_starts_on, effective_on, issued_at, plan_code, total, applied_at)
            SELECT transaction_id, policy_id, 1, 'new_business', 1, '', 0, starts_on, starts_on, issued_at, plan_code,
                net + tax + fees, issued_at
            FROM billings WHERE policy_id = policy
            ON CONFLICT DO NOTHING;
        INSERT INTO charge_lines (transaction_id, number, term_number, kind, starts_on, amount, commissionable)
            SELECT transaction_id, line.number, 1, line.kind, starts_on, line.amount, line.kind = 'premium'
            FROM billings, LATERAL (VALUES (1, 'premium', net), (2, 'tax', tax), (3, 'fee', fees))
                AS line (number, kind, amount)
            WHERE policy_id = policy AND line.amount <> 0
            ON CONFLICT DO NOTHING;
        INSERT INTO schedules (id, account_id, transaction_id, term_number)
            SELECT transaction_id, policy_id, transaction_id, 1 FROM billings WHERE policy_id = policy
            ON CONFLICT DO NOTHING;
        INSERT INTO schedule_installments (schedule_id, number, due_on, columns, total, state)
            SELECT transaction_id, part.number, part.due_on,
                (CASE WHEN part.net <> 0 THEN jsonb_build_object('premium:', part.net) ELSE '{}' END)
                || (CASE WHEN part.tax <> 0 THEN jsonb_build_object('tax:', part.tax) ELSE '{}' END)
                || (CASE WHEN part.fees <> 0 THEN jsonb_build_object('fee:', part.fees) ELSE '{}' END),
                part.net + part.tax + part.fees,
                CASE WHEN EXISTS (
                    SELECT FROM invoices WHERE policy_id = policy AND installment_number = part.number
                ) THEN 'invoiced' WHEN EXISTS (
                    SELECT FROM invoices WHERE policy_id = policy AND status = 'void'
                ) THEN 'superseded' ELSE 'planned' END
            FROM installments AS part JOIN billings USING (policy_id) WHERE policy_id = policy
            ON CONFLICT DO NOTHING;
        PERFORM adopt_invoice(id) FROM invoices WHERE policy_id = policy AND total IS NULL;
    END $$;

    CREATE FUNCTION adopt_invoice(invoice uuid) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO invoice_items (invoice_id, kind, charge_code, amount)
            SELECT invoice, item.kind, '', item.amount
            FROM invoices AS billed
            JOIN installments AS part ON part.policy_id = billed.policy_id AND part.number = installment_number,
            LATERAL (VALUES ('premium', part.net), ('tax', part.tax), ('fee', part.fees)) AS item (kind, amount)
            WHERE billed.id = invoice AND item.amount <> 0
            ON CONFLICT DO NOTHING;
        UPDATE invoices SET
            due_on = part.due_on, currency = billing.currency, total = part.net + part.tax + part.fees,
            time_zone = billing.time_zone,
            settled = CASE WHEN status = 'paid' THEN part.net + part.tax + part.fees ELSE 0 END,
            payable_until = CASE installment_number
                WHEN 1 THEN timezone(billing.time_zone, (billing.starts_on + 1)::timestamp) END
            FROM installments AS part JOIN billings AS billing USING (policy_id)
            WHERE invoices.id = invoice AND invoices.total IS NULL
            AND part.policy_id = invoices.policy_id AND part.number = installment_number;
        INSERT INTO allocations (invoice_id, payment_id, amount, allocated_at)
            SELECT invoice_id, id, amount, completed_at FROM payments
            WHERE invoice_id = invoice AND status = 'succeeded'
            ON CONFLICT DO NOTHING;
    END $$;

    CREATE FUNCTION adopt_written() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM adopt_billing(NEW.policy_id);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER billings_adopted AFTER INSERT ON billings
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION adopt_written();

    -- Bills an installment: nobody else can bill it then.
    CREATE FUNCTION adopt_billed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM adopt_invoice(NEW.id);
        UPDATE schedule_installments SET state = 'invoiced' FROM schedules
            WHERE schedules.id = schedule_id AND account_id = NEW.policy_id AND schedules.term_number = 1
            AND number = NEW.installment_number AND state = 'planned';
        RETURN NULL;
    END $$;
    CREATE TRIGGER invoices_adopted AFTER INSERT ON invoices FOR EACH ROW
        WHEN (NEW.total IS NULL) EXECUTE FUNCTION adopt_billed();

    CREATE FUNCTION adopt_paid() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.status = 'paid' THEN
            NEW.settled := NEW.total;
            INSERT INTO allocations (invoice_id, payment_id, amount, allocated_at)
                SELECT invoice_id, id, NEW.total, completed_at FROM payments
                WHERE invoice_id = NEW.id AND status = 'succeeded';
        ELSE
            UPDATE billing_accounts SET withdrawn_at = now()
                WHERE id = NEW.policy_id AND withdrawn_at IS NULL;
            UPDATE schedule_installments SET state = 'superseded' FROM schedules
                WHERE schedules.id = schedule_id AND account_id = NEW.policy_id AND state = 'planned';
        END IF;
        RETURN NEW;
    END $$;
    -- Today's programs say themselves what they settle, and change the account first.
    CREATE TRIGGER invoices_ended_by_programs_of_before BEFORE UPDATE OF status ON invoices FOR EACH ROW
        WHEN (OLD.total IS NOT NULL AND OLD.status = 'open' AND NEW.settled = OLD.settled
              AND NEW.status IN ('paid', 'void'))
        EXECUTE FUNCTION adopt_paid();
"""
