"""Policy numbers run by what they begin with: by product, `motor` and `motorbike` both made MOT-2026-000001."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go on behind the highest number of each prefix. Programs of the revision before are made to count along."""
    op.execute("""
        CREATE FUNCTION count_by_prefix() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO policy_numbers (product_code, year, last)
                VALUES (upper(left(NEW.product_code, 3)), NEW.year, 1)
                ON CONFLICT (product_code, year) DO UPDATE SET last = policy_numbers.last + 1
                RETURNING last INTO NEW.last;
            RETURN NEW;
        END $$;

        LOCK TABLE policy_numbers IN SHARE ROW EXCLUSIVE MODE;
        INSERT INTO policy_numbers (product_code, year, last)
            SELECT upper(left(product_code, 3)), year, max(last) FROM policy_numbers GROUP BY 1, 2;

        -- Codes are in small letters, prefixes in capitals.
        CREATE TRIGGER policy_numbers_by_prefix BEFORE INSERT OR UPDATE ON policy_numbers FOR EACH ROW
            WHEN (NEW.product_code <> upper(NEW.product_code)) EXECUTE FUNCTION count_by_prefix();
    """)
