"""Users, the sessions they are logged in by, and the refresh tokens of each."""

from alembic import op

from libs.db import frozen

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything that the service needs."""
    op.execute(frozen.procrastinate_3_10())
    op.execute("""
        CREATE TABLE users (
            id uuid PRIMARY KEY,
            email text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
            full_name text NOT NULL CHECK (full_name <> '' AND length(full_name) <= 200),
            phone text NOT NULL,
            locale text NOT NULL,
            roles text[] NOT NULL CHECK (
                cardinality(roles) > 0
                AND roles <@ ARRAY['customer', 'agent', 'underwriter', 'adjuster', 'finance', 'admin']
            ),
            state text NOT NULL CHECK (state IN ('active', 'disabled')),
            password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            version integer NOT NULL DEFAULT 1
        );
        CREATE UNIQUE INDEX idx_users_email ON users (email);

        CREATE TABLE sessions (
            id uuid PRIMARY KEY,
            user_id uuid NOT NULL REFERENCES users,
            created_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
            idle interval NOT NULL CHECK (idle > interval '0'),
            revoked_at timestamptz
        );
        CREATE INDEX idx_sessions_user_id ON sessions (user_id);
        CREATE INDEX idx_sessions_expires_at ON sessions (expires_at);

        CREATE TABLE refresh_tokens (
            digest bytea PRIMARY KEY CHECK (length(digest) = 32),
            session_id uuid NOT NULL REFERENCES sessions ON DELETE CASCADE,
            issued_at timestamptz NOT NULL,
            expires_at timestamptz NOT NULL,
            used_at timestamptz
        );
        CREATE INDEX idx_refresh_tokens_session_id ON refresh_tokens (session_id);
        -- A session has one token that still works, whatever the code believes.
        CREATE UNIQUE INDEX refresh_tokens_one_unused ON refresh_tokens (session_id) WHERE used_at IS NULL;
    """)
