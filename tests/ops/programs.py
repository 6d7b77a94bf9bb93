"""The programs of Debian that these tests run: `make test-ops` installs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def program(name: str) -> str:
    """The path of a program; the test fails, with what to do, where it is not installed."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path, f"{name} is not installed: tests/install.sh ops"
    return path


def run(*command: str | Path, seconds: float = 120) -> str:
    """What a program prints; the test fails with it when the program does."""
    done = subprocess.run(
        [program(str(command[0])), *map(str, command[1:])], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
