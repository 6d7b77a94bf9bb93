"""An invoice of a later term that is withdrawn takes nothing but its term out of the books."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Read a withdrawn invoice as the end of the whole account only where a program of before may have withdrawn it."""
    op.execute("""
        CREATE OR REPLACE FUNCTION adopt_paid() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.status = 'paid' THEN
                NEW.settled := NEW.total;
                INSERT INTO allocations (invoice_id, payment_id, amount, allocated_at)
                    SELECT invoice_id, id, NEW.total, completed_at FROM payments
                    WHERE invoice_id = NEW.id AND status = 'succeeded';
            ELSIF NEW.term_number = 1 AND NEW.installment_number = 1 THEN
                UPDATE billing_accounts SET withdrawn_at = now()
                    WHERE id = NEW.policy_id AND withdrawn_at IS NULL;
                UPDATE schedule_installments SET state = 'superseded' FROM schedules
                    WHERE schedules.id = schedule_id AND account_id = NEW.policy_id AND state = 'planned';
            END IF;
            RETURN NEW;
        END $$;
    """)
