"""Released revisions never change: what they make, and what they may ask while they make it."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import psycopg
import pytest

from libs.db import frozen, migrations
from tests.integration.migrations import catalogue

ROOT = Path(__file__).parents[3]
SCHEMAS = sorted(Path(__file__).with_name("schemas").glob("*.txt"))
REVISIONS = sorted(ROOT.glob("services/*/migrations/versions/*.py"))
MIGRATIONS = {"libs.db.migrations.create_index", "libs.db.migrations.run_in_batches"}  # execute what they are given
ALLOWED = {"alembic", "sqlalchemy", "libs.db.frozen", *MIGRATIONS, *sys.stdlib_module_names}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_revision_makes_what_it_made_when_it_was_released(empty: str, schema: Path) -> None:
    """The files were made by the code of the releases: 512f0fa is the first."""
    service, revision = schema.stem.split("-")
    migrations.upgrade(empty, importlib.import_module(f"services.{service}"), revision)
    with psycopg.connect(empty) as connection:
        assert catalogue.describe(connection) == schema.read_text().splitlines()


def test_each_service_has_a_schema_of_a_release() -> None:
    assert {path.stem.partition("-")[0] for path in SCHEMAS} == {path.parts[-4] for path in REVISIONS}


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda path: f"{path.parts[-4]}-{path.stem}")
def test_revision_asks_nothing_that_changes(revision: Path) -> None:
    assert _asked(revision.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "from libs import audit",
        "import libs.jobs",
        "from libs.db import frozen, Database",
        "from services.users import store",
        "import procrastinate",
        "def upgrade(): from libs.jobs import kinds",
        "from libs.db import migrations\nmigrations.upgrade('')",
        "from libs.db import migrations as others",
        "from ..versions import other",
        "__import__('libs.audit')",
        "import importlib\nimportlib.import_module('libs.audit')",
    ],
)
def test_revision_that_asks_today_s_code_is_seen(source: str) -> None:
    assert _asked(source)


@pytest.mark.parametrize(
    "source",
    [
        "import sqlalchemy as sa\nfrom alembic import op\nfrom uuid import UUID",
        "from sqlalchemy.dialects import postgresql",
        "from libs.db import frozen, migrations\nmigrations.create_index(*frozen.IDEMPOTENCY_KEYS_BY_AGE)",
    ],
)
def test_revision_that_asks_what_is_frozen_is_let_pass(source: str) -> None:
    assert _asked(source) == set()


def test_frozen_module_asks_the_standard_library_only() -> None:
    source = Path(frozen.__file__).read_text()
    imported = {name.partition(".")[0] for name in _imported(ast.parse(source))}
    assert imported <= set(sys.stdlib_module_names)


def test_another_wheel_is_refused_by_its_name() -> None:
    with pytest.raises(frozen.OtherProcrastinate, match=r"procrastinate 3\.\d+\.\d+ .* 03\.04\.00_50_other\.sql"):
        frozen.procrastinate(after="", up_to="03.04.00_50_other.sql", digest="0" * 64)


def _asked(source: str) -> set[str]:
    """What a revision's source takes from where it may not."""
    tree = ast.parse(source)
    asked = set()
    for name in _imported(tree):
        if name == "libs.db.migrations":
            asked |= {f"{name}.{attribute}" for attribute in _attributes(tree, "migrations")} or {name}
        else:
            asked.add(name)
    dynamic = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    } & {"__import__", "import_module", "exec", "eval"}
    return {name for name in asked if not {name, name.partition(".")[0]} & ALLOWED} | dynamic


def _imported(tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere, by its whole name; of a package, what is taken from it."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            imported |= {
                f"{module}.{alias.name}" + (f" as {alias.asname}" if alias.asname else "") for alias in node.names
            }
    return imported


def _attributes(tree: ast.AST, module: str) -> set[str]:
    """What is taken from a module that was imported by its own name."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }
