"""The platform that runs in a folder, as the commands find it: its lock, what it tells, and its database server."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from libs.config import PREFIX, Settings, defaults, load

RunFolder = Annotated[Path, typer.Option("--folder", help="Where the running platform keeps its data.")]
RUN_FOLDER = Path(".run")
SUPERUSER = "postgres"  # of the embedded server

STATE = "state.json"  # stays behind when the platform is killed
_LOCK = "lock"


class FolderInUse(Exception):
    """Another process runs the platform of the folder."""


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have the folder to oneself. `FolderInUse` when another process has it; one that was killed has nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / _LOCK) as is_held:
        if not is_held:
            raise FolderInUse
        yield


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock within, a file; False when another process holds it. One that was killed holds nothing."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def use_running(folder: Path) -> None:
    """Work on the platform that runs in `folder`, if one does, where the configuration names no other."""
    environment = _environment(folder)
    if environment:
        settings = load()
        os.environ.update({name: value for name, value in environment.items() if not is_configured(settings, name)})


def is_configured(settings: Settings, variable: str) -> bool:
    """Whether the file or the environment gives the key of a variable another value than the default."""
    return _value(settings, variable) != _value(defaults(), variable)


def _value(settings: Settings, variable: str) -> object:
    value: object = settings
    for name in variable.removeprefix(PREFIX).lower().split("__"):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return value


def embedded_urls(folder: Path) -> set[str]:
    """The databases that the platform in `folder` brought along; their server trusts its own machine."""
    return {value for name, value in _environment(folder).items() if name.endswith("__DB_URL")}


def with_role(url: str, role: str) -> str:
    """The same database for another role; the password of the first is not its own."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # 80 ms that few commands need

    options = {name: value for name, value in conninfo_to_dict(url).items() if name != "password"}
    return make_conninfo("", **options | {"user": role})


def _environment(folder: Path) -> dict[str, str]:
    state = folder / STATE
    if not state.exists():
        return {}
    environment: dict[str, str] = json.loads(state.read_text())["environment"]
    return environment
