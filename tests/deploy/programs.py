"""The programs that judge what is in deploy/: where they are, and what happens where they are not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
REQUIRED = "DEPLOY_TESTS_REQUIRED"  # set by `make test-deploy`: then a missing program is a failure

# Of requirements/deploy.lock, in an environment of their own; the others are Debian's.
_LOCKED = ROOT / ".venv" / "deploy" / "bin"
_INSTALL = {
    "age": "apt-get install age",
    "buildah": "apt-get install --no-install-recommends buildah crun",
    "debootstrap": "apt-get install debootstrap",
    "systemd-analyze": "apt-get install systemd",
    "curl": "apt-get install curl",
    "jq": "apt-get install jq",
    "openssl": "apt-get install openssl",
}


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, with the line that installs it."""
    locked = _LOCKED / name
    if locked.exists():
        return str(locked)
    if name in _INSTALL and (found := shutil.which(name)):
        return found
    told = f"{name} is not installed: {_INSTALL.get(name, 'make .venv/.deploy')}"
    if os.environ.get(REQUIRED):
        pytest.fail(told)
    pytest.skip(told)


def run(name: str, *arguments: str | Path, seconds: float = 120, **options: object) -> str:
    """What a program prints. The test fails, with what it printed, when the program does."""
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
    return str(done.stdout + done.stderr)


def eventually(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
