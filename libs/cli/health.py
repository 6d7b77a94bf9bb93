"""`bazarutod health`: what the health check of a container or a script runs, where there is no curl and no grpcurl."""

from __future__ import annotations

import re
import sys

import typer

from libs.config import load
from libs.stack import PROCESSES
from libs.supervisor import answers, http_ok, serving

_ADDRESS = re.compile(r"[^\s/]+:\d{1,5}")


def run(target: str) -> None:
    """Print `healthy`, or end the program with 1."""
    if not _is_healthy(target):
        sys.exit(f"{target} is not healthy")
    typer.echo("healthy")


def _is_healthy(target: str) -> bool:
    if target.startswith(("http://", "https://")):
        return http_ok(target)
    if _ADDRESS.fullmatch(target):
        return serving(target)
    for process in PROCESSES:
        if process.name == target:
            return answers(load(), process)
    known = ", ".join(process.name for process in PROCESSES)
    raise typer.BadParameter(f"{target!r} is no URL, no HOST:PORT and none of {known}")
