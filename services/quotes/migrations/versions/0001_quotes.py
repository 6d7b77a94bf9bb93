"""The catalogue of products, and the quotes that were made with them."""

from alembic import op

from libs.db import frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything that the service needs."""
    op.execute(frozen.IDEMPOTENCY_KEYS)
    op.execute(frozen.procrastinate_3_10())
    op.execute("""
        CREATE TABLE products (
            code text NOT NULL,
            version integer NOT NULL CHECK (version > 0),
            document jsonb NOT NULL,
            published_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (code, version)
        );

        -- Numbers come from a sequence, so that nobody waits for a number; one that is not used leaves a gap.
        CREATE SEQUENCE quote_numbers;

        CREATE TABLE quotes (
            id uuid PRIMARY KEY,
            number text NOT NULL CONSTRAINT quotes_number_unique UNIQUE,
            user_id uuid NOT NULL,
            product_code text NOT NULL,
            product_version integer NOT NULL,
            time_zone text NOT NULL,
            state text NOT NULL CHECK (state IN ('quoted', 'referred', 'declined', 'accepted', 'bound', 'expired')),
            starts_on date NOT NULL,
            ends_on date NOT NULL CHECK (ends_on > starts_on),
            answers jsonb NOT NULL,
            coverages jsonb NOT NULL,
            currency char(3) NOT NULL,
            net bigint NOT NULL CHECK (net >= 0),
            tax bigint NOT NULL CHECK (tax >= 0),
            fees bigint NOT NULL CHECK (fees >= 0),
            steps jsonb NOT NULL,
            reasons jsonb NOT NULL,
            plans jsonb NOT NULL,
            valid_until timestamptz NOT NULL,
            created_at timestamptz NOT NULL,
            accepted_at timestamptz,
            policy_id uuid CONSTRAINT quotes_policy_unique UNIQUE,
            version integer NOT NULL DEFAULT 1,
            FOREIGN KEY (product_code, product_version) REFERENCES products (code, version),
            CONSTRAINT quotes_accepted CHECK (
                CASE state
                    WHEN 'accepted' THEN accepted_at IS NOT NULL
                    WHEN 'bound' THEN accepted_at IS NOT NULL
                    WHEN 'expired' THEN true
                    ELSE accepted_at IS NULL
                END
            ),
            CONSTRAINT quotes_bound CHECK ((state = 'bound') = (policy_id IS NOT NULL)),
            CONSTRAINT quotes_reasons CHECK (state NOT IN ('referred', 'declined') OR jsonb_array_length(reasons) > 0)
        );
        CREATE INDEX idx_quotes_user_id ON quotes (user_id, id DESC);
        CREATE INDEX idx_quotes_valid_until ON quotes (valid_until)
            WHERE state IN ('quoted', 'referred', 'accepted');

        -- What a product or a quote once said is what was sold: it is never changed, whoever asks.
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'what % says is never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$;
        CREATE TRIGGER products_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON products
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER quotes_terms_fixed
            BEFORE UPDATE OF id, number, user_id, product_code, product_version, time_zone, starts_on, ends_on, answers,
                coverages, currency, net, tax, fees, steps, reasons, plans, valid_until, created_at ON quotes
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)
