"""Bringing a service's database to the revision that its code needs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import sqlalchemy as sa

from libs.db.pool import check_configured

# Any constant: it keeps two migrating processes of one service from running at once.
_LOCK = 4_711_001


def upgrade(url: str, service: ModuleType) -> None:
    """Apply what is missing of `<service>/migrations/versions`. Two callers at once do no harm."""
    check_configured(url)
    # Imported here: only this verb needs it, and it costs every other process 15 MiB and a tenth of a second.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(str(service.__file__)).parent / "migrations"))
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def run(metadata: sa.MetaData | None = None) -> None:
    """What a service's `migrations/env.py` calls: run within the connection that `upgrade` opened."""
    from alembic import context

    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
