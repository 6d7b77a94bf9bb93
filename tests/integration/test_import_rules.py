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
    ("libs know no service and no front", "libs/money.py", "import services.users.accounts.rules.user"),
    ("services know each other by contract only", "services/users/main.py", "import services.quotes.main"),
    ("the gateway knows no service and no database", "gateway/main.py", "import libs.db"),
    ("rooms of the gateway import downwards only", "gateway/http/media.py", "import gateway.contracts.routes"),
    ("rooms of the gateway import downwards only", "gateway/transcode/patch.py", "import gateway.pages.health"),
    ("rooms of the gateway import downwards only", "gateway/calling.py", "import gateway.sending"),
    ("rooms of the gateway import downwards only", "gateway/helpers.py", "from __future__ import annotations"),
    ("services know no front", "services/users/main.py", "import gateway.main"),
    ("nobody imports the operator's command", "services/users/accounts/jobs.py", "import bazarutod.stack"),
    ("nobody imports the operator's command", "gateway/main.py", "import bazarutod.ports"),
    ("nobody imports the operator's command", "libs/process.py", "import bazarutod.embedded"),
    ("modules of users import downwards only", "services/users/accounts/jobs.py", "import services.users.main"),
    (
        "modules of quotes import downwards only",
        "services/quotes/catalogue/rules/table.py",
        "import services.quotes.rating.rules.step",
    ),
    (
        "modules of policies import downwards only",
        "services/policies/lifecycle/jobs.py",
        "import services.policies.main",
    ),
    (
        "modules of payments import downwards only",
        "services/payments/ledger/store/journals.py",
        "import services.payments.billing.store.invoices",
    ),
    (
        "rooms of a module import downwards only",
        "services/payments/collection/store/payments.py",
        "import services.payments.collection.flows.voiding",
    ),
    (
        "rooms of a module import downwards only",
        "services/policies/lifecycle/store/nested/rows.py",
        "import services.policies.lifecycle.servicer",
    ),
    (
        "rooms of a module import downwards only",
        "services/policies/claims/helpers.py",
        "from __future__ import annotations",
    ),
    (
        "a module is entered by its rules, flows, kinds and store",
        "services/policies/claims/flows/settling.py",
        "import services.policies.lifecycle.servicer",
    ),
    (
        "a module is entered by its rules, flows, kinds and store",
        "services/payments/collection/flows/collecting.py",
        "import services.payments.billing.servicer",
    ),
    ("rules do no I/O", "services/policies/claims/rules/claim.py", "import socket"),
    ("rules do no I/O", "services/policies/claims/rules/claim.py", "import grpc"),
    ("rules do no I/O", "services/policies/claims/rules/claim.py", "import sqlalchemy"),
    ("rules do no I/O", "services/quotes/rating/rules/rating.py", "import os"),
    ("rules do no I/O", "services/payments/ledger/rules/journal.py", "import time"),
    ("stores know the database and nothing of calls", "services/policies/claims/store/claims.py", "import grpc"),
    (
        "stores know the database and nothing of calls",
        "services/policies/lifecycle/store/policies.py",
        "import libs.rpc.calls",
    ),
    ("messages convert and look nothing up", "services/policies/claims/messages.py", "import sqlalchemy"),
    ("kinds know jobs and nothing else", "services/policies/claims/kinds.py", "import libs.db"),
    ("measures count and do nothing else", "services/policies/claims/measures.py", "import libs.db"),
    ("clients know contracts and no database", "services/policies/clients/quotes.py", "import sqlalchemy"),
    (
        "servicers and jobs alone call neighbours",
        "services/policies/lifecycle/rules/policy.py",
        "import services.policies.clients",
    ),
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
    _make_packages(path.parent)
    path.write_text((path.read_text() if path.exists() else "") + f"\n{violation}\n")
    code, printed = _lint(tree)
    assert code != 0
    assert f"{rule} BROKEN" in " ".join(printed.split())


def _make_packages(folder: Path) -> None:
    """Make a module that is not there yet, such as claims, with the rooms that its violation names."""
    if folder.exists():
        return
    _make_packages(folder.parent)
    folder.mkdir()
    (folder / "__init__.py").touch()


def _lint(tree: Path) -> tuple[int, str]:
    # A fresh interpreter whose path begins with the copy: the installed tree must not be what is linted.
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr
