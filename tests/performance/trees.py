"""Trees: the code under test, and the commit that it is compared with, each with an environment of its own.

Nothing of either is imported here: the driver runs their commands and talks to their addresses, so that modules may
move from one commit to the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.performance import machine
from tests.performance.load import CannotMeasure

ROOT = Path(__file__).parents[2]
_SETUP_SECONDS = 900.0  # packages are fetched and installed
_SETTINGS = "BAZARUTO_"


@dataclass(frozen=True, slots=True)
class Tree:
    """A checked-out commit with its environment in `.venv`."""

    name: str
    folder: Path
    revision: str

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / ".venv/bin/python")

    @property
    def command(self) -> str:
        """Its `bazarutod`."""
        return str(self.folder / ".venv/bin/bazarutod")

    def holds(self, module: str) -> bool:
        """Whether a module of the benchmark is in this tree, too."""
        return (self.folder / f"{module.replace('.', '/')}.py").exists()

    def run(self, *arguments: str, seconds: float, settings: Mapping[str, str] | None = None) -> str:
        """What one of its programs prints, run where things are measured. `CannotMeasure` with its error otherwise."""
        try:
            with machine.on_cores(machine.MEASURED):
                finished = subprocess.run(
                    arguments,
                    cwd=self.folder,
                    env=clean_environment(settings),
                    capture_output=True,
                    text=True,
                    timeout=seconds,
                )
        except subprocess.TimeoutExpired as error:
            raise CannotMeasure(f"{' '.join(arguments[1:4])} took longer than {seconds:.0f} s") from error
        if finished.returncode:
            lines = (finished.stderr or finished.stdout).strip().splitlines() or ["nothing was said"]
            raise CannotMeasure(f"{' '.join(arguments[1:4])}: {lines[-1]}")
        return finished.stdout


def head() -> Tree:
    """The tree that this file is in."""
    return Tree("HEAD", ROOT, machine.revision(ROOT))


@contextmanager
def base(commit: str, tell: Callable[[str], None]) -> Iterator[Tree]:
    """Check a commit out within, in a temporary folder with its own packages by its own lock; all is removed after."""
    parent = Path(tempfile.mkdtemp(prefix="bazaruto-bench-base-"))
    folder = parent / "tree"
    try:
        parent.chmod(0o755)
        tell(f"checking out {commit}")
        _run(["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(folder), commit])
        tell(f"installing what {commit} needs, and generating its contracts")
        # By the interpreter that runs this: two versions of Python are no comparison of two commits.
        _run(["make", "-C", str(folder), "protos", f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"])
        yield Tree("BASE", folder, machine.revision(folder))
    finally:
        shutil.rmtree(parent, ignore_errors=True)
        subprocess.run(["git", "-C", str(ROOT), "worktree", "prune"], capture_output=True, check=False)


def clean_environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without any setting of a platform, and without what `make` tells its own children."""
    ignored = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "BASE", "PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in ignored and not name.startswith(_SETTINGS)}
    return kept | dict(variables or {})


def _run(command: list[str]) -> None:
    try:
        finished = subprocess.run(
            command, env=clean_environment(), capture_output=True, text=True, timeout=_SETUP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"{' '.join(command[:4])} took longer than {_SETUP_SECONDS:.0f} s") from error
    if finished.returncode:
        raise CannotMeasure(f"{' '.join(command[:4])}: {(finished.stderr or finished.stdout).strip()[-1500:]}")
