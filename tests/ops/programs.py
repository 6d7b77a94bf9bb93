"""The programs of Debian that these tests run, and what happens where they are not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
    "redis-server": "redis-server",
}
REQUIRED = "OPS_TESTS_REQUIRED"  # set by `make test-ops`: then a missing program is a failure
DEPLOY = Path(__file__).parents[2] / "deploy"


def need(*programs: str) -> None:
    """Skip the test, with the line that installs what it lacks. Under `make test-ops` it fails instead."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[program] for program in missing}))
        told = f"{', '.join(missing)} not installed: apt-get install {packages}"
        if os.environ.get(REQUIRED):
            pytest.fail(told)
        pytest.skip(told)


def run(*command: str | Path, seconds: float = 120) -> str:
    """What a program prints; the test fails with it when the program does."""
    need(str(command[0]))
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
