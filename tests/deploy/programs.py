"""The programs that judge what is in deploy/: `make test-deploy` installs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"

# Of requirements/deploy.lock, in an environment of their own; the others are Debian's.
_LOCKED = ROOT / ".venv" / "deploy" / "bin"


def program(name: str) -> str:
    """The path of a program; the test fails, with what to do, where it is not installed."""
    locked = _LOCKED / name
    if locked.exists():
        return str(locked)
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert path, f"{name} is not installed: make .venv/.deploy && tests/install.sh deploy"
    return path


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
