"""Quotes in groups of which one is taken, of several kinds, and withdrawn for a reason."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns. A quote of a program of before is a group of its own, and made for a new policy."""
    op.execute("""
        ALTER TABLE quotes
            ADD COLUMN group_id uuid,
            ADD COLUMN kind text NOT NULL DEFAULT 'new_business',
            ADD COLUMN withdraw_reason text,
            ADD CONSTRAINT quotes_kind CHECK (kind IN ('new_business', 'endorsement', 'renewal')) NOT VALID,
            ADD CONSTRAINT quotes_withdrawn
                CHECK (withdraw_reason IS NULL OR state IN ('withdrawn', 'bound')) NOT VALID;
        DROP TRIGGER quotes_origin_fixed ON quotes;
        CREATE TRIGGER quotes_origin_fixed
            BEFORE UPDATE OF id, number, user_id, created_by, group_id, partner_id, kind, product_code, time_zone,
                currency, created_at
            ON quotes FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
    """)
