"""Alembic's entry point for this service."""

from libs.db import migrations

migrations.run()
