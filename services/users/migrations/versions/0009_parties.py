"""Customers apart from log-ins, with their history, and the partners by which they came."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables. They are filled by the next revision."""
    op.execute("""
        CREATE TABLE partners (
            id uuid PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('broker', 'agency', 'comparison_site')),
            name text NOT NULL CHECK (name <> '' AND length(name) <= 200),
            email text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
            phone text NOT NULL,
            state text NOT NULL CHECK (state IN ('active', 'suspended')),
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version integer NOT NULL DEFAULT 1
        );
        -- A user is a member of one partner at most: a token names one.
        CREATE TABLE partner_members (
            user_id uuid PRIMARY KEY REFERENCES users,
            partner_id uuid NOT NULL REFERENCES partners,
            added_at timestamptz NOT NULL
        );
        CREATE INDEX idx_partner_members_partner_id ON partner_members (partner_id, user_id);
        CREATE TABLE partner_products (
            partner_id uuid NOT NULL REFERENCES partners,
            product_code text NOT NULL CHECK (product_code <> ''),
            PRIMARY KEY (partner_id, product_code)
        );

        CREATE TABLE customers (
            id uuid PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('person', 'organisation')),
            name text NOT NULL CHECK (name <> '' AND length(name) <= 200),
            birth_date date CHECK (kind = 'person' OR birth_date IS NULL),
            emails text[] NOT NULL,
            phones text[] NOT NULL,
            address jsonb CHECK (jsonb_typeof(address) = 'object'),
            locale text NOT NULL,
            partner_id uuid REFERENCES partners,
            partner_since date,
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version integer NOT NULL DEFAULT 1
        );
        CREATE INDEX idx_customers_partner_id ON customers (partner_id, id DESC) WHERE partner_id IS NOT NULL;
        CREATE INDEX idx_customers_name ON customers (name);
        CREATE INDEX idx_customers_emails ON customers USING gin (emails);
        CREATE INDEX idx_customers_phones ON customers USING gin (phones);

        -- Who acts for whom, but for a user and the customer of the same id.
        CREATE TABLE customer_users (
            user_id uuid NOT NULL REFERENCES users,
            customer_id uuid NOT NULL REFERENCES customers,
            linked_at timestamptz NOT NULL,
            PRIMARY KEY (user_id, customer_id),
            CHECK (user_id <> customer_id)
        );
        CREATE INDEX idx_customer_users_customer_id ON customer_users (customer_id);

        CREATE TABLE customer_history (
            customer_id uuid NOT NULL REFERENCES customers,
            version integer NOT NULL,
            at timestamptz NOT NULL,
            actor text NOT NULL CHECK (actor <> ''),
            before jsonb NOT NULL,
            after jsonb NOT NULL,
            trace_id text NOT NULL,
            PRIMARY KEY (customer_id, version)
        );
    """)
