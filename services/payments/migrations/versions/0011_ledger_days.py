"""Sums of postings by day, and the list of the journals that are not in them yet."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add them, empty. From here on a trigger lists each journal, whichever program enters it.

    The lock on journals waits for all who are entering one. So the column tells for ever which journals were there
    before: 0012 sums those.
    """
    op.execute(_DAYS)


_DAYS = """
    ALTER TABLE journals ADD COLUMN listed boolean NOT NULL DEFAULT false;
    ALTER TABLE journals ALTER COLUMN listed SET DEFAULT true;

    -- No foreign key: a row here is work to do, and no fact.
    CREATE TABLE unsummed_journals (journal_id uuid PRIMARY KEY);
    CREATE FUNCTION list_unsummed_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsummed_journals (journal_id) VALUES (NEW.id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER journals_list_unsummed AFTER INSERT ON journals
        FOR EACH ROW EXECUTE FUNCTION list_unsummed_journal();

    -- For each dimension by itself, and for none, what the postings add up to. Numbers without end: a day may hold more
    -- than a bigint.
    CREATE TABLE ledger_days (
        dimension text NOT NULL CHECK (dimension IN ('', 'coverage_code', 'tax_code', 'partner_id')),
        booked_on date NOT NULL,
        effective_on date NOT NULL,
        account_code text NOT NULL REFERENCES accounts,
        currency char(3) NOT NULL,
        part text NOT NULL,
        debits numeric NOT NULL CHECK (debits >= 0),
        credits numeric NOT NULL CHECK (credits >= 0),
        CONSTRAINT ledger_days_unique PRIMARY KEY (dimension, booked_on, effective_on, account_code, currency, part)
    );

    -- How far 0012 is.
    CREATE TABLE ledger_days_progress (journal_id uuid NOT NULL);
    INSERT INTO ledger_days_progress VALUES ('00000000-0000-0000-0000-000000000000');
"""
