"""The register of ports: what one run of tests has drawn, no other run of this user draws while it lasts."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

from bazarutod import ports


def enter() -> None:
    """Open this run's folder; its processes and all that they start draw into it."""
    register = Path(tempfile.gettempdir()) / f"bazaruto-ports-{os.getuid()}"
    register.mkdir(mode=0o700, exist_ok=True)
    for run in register.iterdir():  # those of runs that were killed
        if not psutil.pid_exists(int(run.name)):
            shutil.rmtree(run, ignore_errors=True)
    own = register / str(os.getpid())
    shutil.rmtree(own, ignore_errors=True)  # of a process that had this number before
    own.mkdir()
    os.environ[ports.DRAWN] = str(own)


def leave() -> None:
    """Give the ports of this run back."""
    shutil.rmtree(os.environ.pop(ports.DRAWN), ignore_errors=True)
