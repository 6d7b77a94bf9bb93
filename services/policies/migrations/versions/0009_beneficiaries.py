"""Beneficiaries with their history, and finding policies by the days of their terms."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables and the indexes."""
    op.execute("""
        CREATE TABLE beneficiary_sets (
            policy_id uuid NOT NULL REFERENCES policies,
            version integer NOT NULL CHECK (version > 0),
            set_at timestamptz NOT NULL,
            actor text NOT NULL CHECK (actor <> ''),
            PRIMARY KEY (policy_id, version)
        );
        CREATE TABLE beneficiaries (
            policy_id uuid NOT NULL,
            version integer NOT NULL,
            number integer NOT NULL CHECK (number > 0),
            name text NOT NULL CHECK (name <> ''),
            relationship text NOT NULL,
            share integer NOT NULL CHECK (share BETWEEN 1 AND 10000),
            PRIMARY KEY (policy_id, version, number),
            FOREIGN KEY (policy_id, version) REFERENCES beneficiary_sets
        );
        CREATE FUNCTION check_shares() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT sum(share) FROM beneficiaries WHERE policy_id = NEW.policy_id AND version = NEW.version) <> 10000
            THEN
                RAISE EXCEPTION 'the shares of % do not make 100 %%', NEW.policy_id USING ERRCODE = 'check_violation';
            END IF;
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER beneficiaries_whole AFTER INSERT ON beneficiaries DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION check_shares();
        CREATE TRIGGER beneficiaries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON beneficiaries
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER beneficiary_sets_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON beneficiary_sets
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        CREATE INDEX idx_timelines_starts_on ON timelines (starts_on, policy_id);
        CREATE INDEX idx_timelines_ends_on ON timelines (ends_on, policy_id);
    """)
