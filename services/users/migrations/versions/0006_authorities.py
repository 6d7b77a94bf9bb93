"""How far users may decide alone; and accounts that have no role, between two that go with no other."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table, and let go of what every account had to have.

    Every row keeps to the new rule, which is part of the old one: nobody waits until that has been looked at.
    """
    op.execute("""
        CREATE TABLE authorities (
            user_id uuid PRIMARY KEY REFERENCES users,
            underwriting_level smallint NOT NULL CHECK (underwriting_level BETWEEN 0 AND 9),
            claim_limit jsonb NOT NULL CHECK (jsonb_typeof(claim_limit) = 'object'),
            refund_limit jsonb NOT NULL CHECK (jsonb_typeof(refund_limit) = 'object'),
            write_off_limit jsonb NOT NULL CHECK (jsonb_typeof(write_off_limit) = 'object'),
            valid_from timestamptz NOT NULL,
            valid_until timestamptz CHECK (valid_until > valid_from),
            updated_at timestamptz NOT NULL,
            version integer NOT NULL CHECK (version > 0)
        );
        ALTER TABLE users DROP CONSTRAINT users_roles_check;
        ALTER TABLE users ADD CONSTRAINT users_roles_known CHECK (
            roles <@ ARRAY['customer', 'agent', 'underwriter', 'adjuster', 'finance', 'admin']
        ) NOT VALID;
    """)
