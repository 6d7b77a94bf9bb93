"""Each import rule is broken once in a copy of the tree, and the linter must refuse exactly that rule."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The rule, the module that breaks it, and the import that does.
VIOLATIONS = [
    ("libs know no service and no front", "libs/money.py", "import services.users.user"),
    ("services know each other by contract only", "services/users/servicer.py", "import services.quotes.quote"),
    ("the gateway knows no service and no database", "gateway/main.py", "import libs.db"),
    ("services know no front", "services/users/main.py", "import gateway.main"),
    ("stores know the database and nothing of calls", "services/policies/store.py", "import grpc"),
    ("clients know contracts and no database", "services/policies/clients.py", "import sqlalchemy"),
    ("rooms of a service import downwards only", "services/policies/store.py", "import services.policies.servicer"),
    ("nouns do no I/O", "services/policies/policy.py", "import socket, grpc"),
    ("nouns do no I/O", "services/quotes/rating.py", "import services.quotes.store"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the rules are about."""
    for name in ("bazarutod", "gateway", "libs", "services"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests" / "support").mkdir(parents=True)
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "tests" / "support" / "__init__.py").touch()
    shutil.copy(ROOT / "tests/support/import_rules.py", tmp_path / "tests/support")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_import_rule(tree: Path) -> None:
    code, printed = _lint(tree)
    assert code == 0, printed


@pytest.mark.parametrize(("rule", "module", "violation"), VIOLATIONS)
def test_broken_import_rule_is_refused(tree: Path, rule: str, module: str, violation: str) -> None:
    path = tree / module
    path.write_text(path.read_text() + f"\n{violation}\n")
    code, printed = _lint(tree)
    assert code != 0
    assert f"{rule} BROKEN" in " ".join(printed.split())


def _lint(tree: Path) -> tuple[int, str]:
    # A fresh interpreter whose path begins with the copy: the installed tree must not be what is linted.
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr
