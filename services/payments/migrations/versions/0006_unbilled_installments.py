"""The list of installments that are still to be billed."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add it, empty. Triggers keep it, so that programs of the revision before keep it too."""
    op.execute(_UNBILLED)


_UNBILLED = """
    -- Short, while installments only grows. No foreign key: a row here is work to do, and no fact.
    CREATE TABLE unbilled_installments (
        policy_id uuid NOT NULL,
        number integer NOT NULL,
        due_on date NOT NULL,
        PRIMARY KEY (policy_id, number)
    );
    CREATE INDEX idx_unbilled_installments_due_on ON unbilled_installments (due_on, policy_id, number);

    CREATE FUNCTION list_unbilled(policy uuid) RETURNS void LANGUAGE sql AS $$
        INSERT INTO unbilled_installments (policy_id, number, due_on)
        SELECT policy_id, number, due_on FROM installments
        WHERE policy_id = policy AND NOT EXISTS (
            SELECT FROM invoices
            WHERE invoices.policy_id = policy AND installment_number = installments.number
        )
        ON CONFLICT DO NOTHING
    $$;

    -- The first premium puts the policy in force: from then on, the others are to be billed.
    CREATE FUNCTION list_unbilled_when_in_force() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM list_unbilled(NEW.policy_id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER invoices_put_in_force AFTER UPDATE OF status ON invoices FOR EACH ROW
        WHEN (NEW.installment_number = 1 AND NEW.status = 'paid' AND OLD.status <> 'paid')
        EXECUTE FUNCTION list_unbilled_when_in_force();

    CREATE FUNCTION strike_billed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM unbilled_installments WHERE policy_id = NEW.policy_id AND number = NEW.installment_number;
        RETURN NULL;
    END $$;
    CREATE TRIGGER invoices_strike_billed AFTER INSERT ON invoices FOR EACH ROW EXECUTE FUNCTION strike_billed();
"""
