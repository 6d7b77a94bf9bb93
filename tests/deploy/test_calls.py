"""Who calls whom: the table is what the code does, and what the documents show."""

from __future__ import annotations

import re

import pytest

from bazarutod.stack import CALLS, PROCESSES, SERVICES, Process
from tests.deploy.programs import ROOT

PROCESSES_OF_SERVICES = [process for process in PROCESSES if process.name != "gateway"]


@pytest.mark.parametrize("process", PROCESSES_OF_SERVICES, ids=lambda process: process.name)
def test_table_names_the_channels_that_a_main_opens(process: Process) -> None:
    code = (ROOT / f"{process.module.replace('.', '/')}.py").read_text()
    body = re.search(rf"^def {process.verb}\(.*?(?=^def |\Z)", code, re.DOTALL | re.MULTILINE)
    assert body
    assert set(re.findall(r'connect\(settings\.services\["(\w+)"\]', body[0])) == set(CALLS[process.name])


def test_gateway_calls_every_service() -> None:
    assert CALLS["gateway"] == SERVICES


def test_table_knows_every_process() -> None:
    assert CALLS.keys() == {process.name for process in PROCESSES}


def test_figure_of_the_architecture_shows_the_same_calls() -> None:
    figure = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    shown: dict[str, set[str]] = {name: set() for name in CALLS}
    for line in figure.splitlines():
        calls = re.sub(r"\(.*|◀.*|.*HTTP/JSON──▶", "", line).replace("──gRPC──▶", "─▶")
        if "─▶" in calls:
            callers, callees = (re.findall(r"[a-z-]+", side) for side in calls.split("─▶"))
            for caller in callers:
                shown[caller] |= set(callees)
    assert shown == {caller: set(callees) for caller, callees in CALLS.items()}


def test_table_of_the_deployment_page_shows_the_same_calls() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text().partition("### Who may talk to whom")[2].partition("###")[0]
    rows = re.findall(r"^\| ([a-z-]+) \| (.+) \|$", page, re.MULTILINE)
    shown = {caller: set(callees.split(", ")) for caller, callees in rows if caller in CALLS}
    assert shown == {caller: set(callees) for caller, callees in CALLS.items() if callees}
