"""Runbooks are read at night: every command in them exists and can be run as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from httpx import get

from bazarutod.command import app
from tests.ops.monitoring import Monitoring
from tests.ops.programs import DEPLOY
from tests.support import postgres
from tests.support.platform import Platform

BOOKS = sorted(book for book in (DEPLOY.parent / "docs/runbooks").glob("*.md") if book.stem != "README")
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`(bazarutod [^`]+)`")


def _blocks(language: str) -> list[str]:
    return [text for book in BOOKS for kind, text in _BLOCK.findall(book.read_text()) if kind == language]


def _lines(beginning: str) -> list[str]:
    return sorted({line for block in _blocks("bash") for line in block.splitlines() if line.startswith(beginning)})


def _bazarutod() -> list[str]:
    return sorted({*_lines("bazarutod"), *(command for book in BOOKS for command in _INLINE.findall(book.read_text()))})


@pytest.mark.parametrize("line", _bazarutod())
def test_command_of_a_runbook_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, f"{line}: which command?"
        assert words[0] in command.commands, f"{line}: there is no {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book.stem)
def test_shell_of_a_runbook_is_well_formed(book: Path) -> None:
    for kind, text in _BLOCK.findall(book.read_text()):
        assert kind in ("bash", "sql")
        if kind == "bash":
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_scripts_that_runbooks_name_exist() -> None:
    named = {path for book in BOOKS for path in re.findall(r"`(deploy/[\w/.-]+)`", book.read_text())}
    assert [path for path in named if not (DEPLOY.parent / path).exists()] == []


@pytest.mark.xdist_group("ops")
def test_queries_of_runbooks_are_answered() -> None:
    with psycopg.connect(postgres.server().url("postgres"), autocommit=True) as connection:
        for query in _blocks("sql"):
            connection.execute(query.encode())


@pytest.mark.xdist_group("ops")
def test_addresses_of_runbooks_answer(monitoring: Monitoring, platform: Platform) -> None:
    services = platform.settings.services
    real = {
        "localhost:8080": platform.settings.gateway.listen,
        "localhost:9090": monitoring.exporters["prometheus"],
        "localhost:9093": monitoring.exporters["alertmanager"],
        "localhost:9187": monitoring.exporters["postgres"],
        "localhost:9101": services["users"].metrics,
        "localhost:9104": services["payments"].metrics,
        "localhost:9114": services["payments"].worker_metrics,
    }
    asked = sorted({url for line in _lines("curl") for url in re.findall(r"http://[^\s'|]+", line)})
    assert asked
    for url in asked:
        place = re.sub(r"localhost:\d+", lambda match: real[match[0]], url).replace("seconds=10", "seconds=1")
        assert get(place, timeout=30).is_success, url
