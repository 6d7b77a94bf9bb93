"""Who held a policy, owed for it and served it, and what users said of a customer last."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables, and let transactions be of the type that writes there."""
    op.execute("""
        ALTER TABLE policy_transactions
            DROP CONSTRAINT policy_transactions_type_check,
            ADD CONSTRAINT policy_transactions_type_check CHECK (type IN (
                'new_business', 'activation', 'not_taken', 'endorsement', 'renewal', 'cancellation', 'lapse',
                'reinstatement', 'reversal', 'servicing'
            )) NOT VALID;

        -- The parties before a transaction and after it. Those of a policy itself are the newest.
        CREATE TABLE policy_parties (
            transaction_id uuid PRIMARY KEY REFERENCES policy_transactions,
            policy_id uuid NOT NULL,
            sequence integer NOT NULL,
            issued_at timestamptz NOT NULL,
            effective_on date NOT NULL,
            reason text NOT NULL CHECK (reason IN ('holder', 'payer', 'partner')),
            old_holder_id uuid NOT NULL,
            old_payer_id uuid NOT NULL,
            old_partner_id uuid,
            holder_id uuid NOT NULL,
            payer_id uuid NOT NULL,
            partner_id uuid,
            consent text NOT NULL
        );
        CREATE UNIQUE INDEX policy_parties_in_order ON policy_parties (policy_id, sequence);
        CREATE TRIGGER policy_parties_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON policy_parties
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

        -- What an older version says that arrives late is told by it.
        CREATE TABLE party_versions (
            customer_id uuid PRIMARY KEY,
            version integer NOT NULL CHECK (version > 0),
            partner_id uuid,
            since date NOT NULL
        );
    """)
