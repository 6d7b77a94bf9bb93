"""What is owed to policyholders and claimants is never less than nothing."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the check, which looks at what is entered from now on. Nothing was debited on these accounts before."""
    op.execute(_DEBTS)


_DEBTS = """
    -- Credit balances and refunds by policy, claims payable by claim. At commit, and one transaction of a policy or a
    -- claim after another: each sees what those before it entered.
    CREATE FUNCTION check_debt_not_below_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        booked journals;
        owed numeric;
    BEGIN
        SELECT * INTO booked FROM journals WHERE id = NEW.journal_id;
        IF NEW.account_code = '2410' AND booked.claim_id IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(booked.claim_id::text, 2410));
            SELECT sum(CASE side WHEN 'credit' THEN amount ELSE -amount END) INTO owed
                FROM journals JOIN postings ON journal_id = id
                WHERE claim_id = booked.claim_id AND account_code = NEW.account_code AND currency = booked.currency;
        ELSIF NEW.account_code <> '2410' AND booked.policy_id IS NOT NULL THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(booked.policy_id::text, 2300));
            SELECT sum(CASE side WHEN 'credit' THEN amount ELSE -amount END) INTO owed
                FROM journals JOIN postings ON journal_id = id
                WHERE policy_id = booked.policy_id AND account_code = NEW.account_code AND currency = booked.currency;
        END IF;
        IF owed < 0 THEN
            RAISE EXCEPTION 'journal % takes more from account % than is owed there', booked.id, NEW.account_code
                USING ERRCODE = 'check_violation', CONSTRAINT = 'postings_debt_not_below_nothing';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER postings_debt_not_below_nothing AFTER INSERT ON postings
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
        WHEN (NEW.side = 'debit' AND NEW.account_code IN ('2300', '2310', '2410'))
        EXECUTE FUNCTION check_debt_not_below_nothing();
"""
