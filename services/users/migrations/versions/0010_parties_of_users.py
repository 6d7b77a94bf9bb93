"""Everybody who buys for themselves is a customer, with the identifier of their account."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the customers of the accounts that there are. What a program of before registers meanwhile, a job adds."""
    op.execute("""
        INSERT INTO customers (id, kind, name, emails, phones, locale, created_at, updated_at)
        SELECT id, 'person', full_name, ARRAY[email], CASE phone WHEN '' THEN '{}' ELSE ARRAY[phone] END, locale,
            created_at, created_at
        FROM users WHERE 'customer' = ANY (roles)
    """)
