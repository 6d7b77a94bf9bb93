"""Drafts of products, apart from what is published, and the days on which each version is sold."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make both. What is published is sold on the days that its file says; programs of before go by the file."""
    op.execute("""
        CREATE TABLE product_drafts (
            code text NOT NULL,
            version integer NOT NULL CHECK (version > 0),
            document jsonb NOT NULL,
            source text NOT NULL,
            author_id uuid NOT NULL,
            created_at timestamptz NOT NULL,
            PRIMARY KEY (code, version)
        );

        -- The last row of a version says on which days it is sold.
        CREATE TABLE product_sales (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            code text NOT NULL,
            version integer NOT NULL,
            starts_on date NOT NULL,
            ends_on date,
            renew_with integer CHECK (renew_with <> version),
            decided_by text NOT NULL,
            decided_at timestamptz NOT NULL,
            FOREIGN KEY (code, version) REFERENCES products (code, version),
            FOREIGN KEY (code, renew_with) REFERENCES products (code, version)
        );
        CREATE INDEX idx_product_sales_version ON product_sales (code, version, id DESC);

        INSERT INTO product_sales (code, version, starts_on, ends_on, decided_by, decided_at)
        SELECT code, version, (document->>'on_sale_from')::date, (document->>'on_sale_until')::date,
            'operator', published_at
        FROM products ORDER BY code, version;

        CREATE TRIGGER product_drafts_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON product_drafts
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER product_sales_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON product_sales
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)
