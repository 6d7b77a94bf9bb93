"""What the documents name exists: files, commands with their options, deployments. And nothing is left unexplained."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bazarutod.command import app
from tests.support import guide

GUIDE = guide.DOCS / "operations.md"
RUNBOOKS = guide.DOCS / "runbooks"
SECTIONS = (
    "Monitoring, Logging, Metrics, Alerting, Health Checks, Performance Tuning, Troubleshooting, Backup and Recovery,"
    " Security Operations, Incident Response"
).split(", ")
each_document = pytest.mark.parametrize("document", guide.documents(), ids=lambda path: path.name)


def _headings(document: Path, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", document.read_text(), re.MULTILINE)


@each_document
def test_files_that_a_document_names_exist(document: Path) -> None:
    missing = [link for link in guide.links(document) if not (document.parent / link).exists()]
    for path in guide.paths(document):
        patterns = re.sub(r"\{[^}]*\}", "*", path)
        if not any(guide.ROOT.glob(patterns.rstrip("/."))) and not path.startswith("protos/gen"):
            missing.append(path)
    assert missing == []


@each_document
def test_commands_that_a_document_names_exist(document: Path) -> None:
    wrong = {words: fault for words in guide.commands(document) if (fault := _what_is_wrong(words))}
    assert wrong == {}


@cache
def _command() -> Any:
    """`bazarutod` with everything below it."""
    return typer.main.get_command(app)


def _what_is_wrong(words: str) -> str:
    """Why `bazarutod <words>` cannot be typed: no such command, no such option."""
    command: Any = _command()
    rest = iter(shlex.split(words.replace("'", "")))
    for word in rest:
        options = {option: parameter for parameter in command.params for option in parameter.opts}
        below = getattr(command, "commands", None)
        if word.startswith("--"):
            if word not in options and word != "--help":
                return f"there is no option {word}"
            if word in options and not options[word].is_flag:
                next(rest, "")  # its value
        elif below is not None:
            if word not in below and not word.startswith("-"):
                return f"there is no command {word}"
            command = below.get(word, command)
    return ""


def test_guide_has_the_sections_that_operators_know() -> None:
    assert _headings(GUIDE, 2) == ["Table of Contents", *SECTIONS]


def test_every_block_of_the_guide_is_run_or_has_a_reason() -> None:
    silent = [str(b) for b in guide.blocks(GUIDE) if b.language not in ("bash", "sql", "promql", "json")]
    assert silent == [], "a block of a kind that no test runs"
    left_out = [block for block in guide.blocks(GUIDE) if block.reason]
    assert all(len(block.reason) > 15 for block in left_out)
    assert len(left_out) < sum(block.language == "bash" for block in guide.blocks(GUIDE)) / 2


def test_deployments_of_the_guide_are_in_the_manifests() -> None:
    text = "\n".join(block.text for block in guide.blocks(GUIDE) if "kubectl" in block.text)
    named = set(re.findall(r"deployment[/ ](\S+)", text)) | {f"{n[:-2]}" for n in re.findall(r"\b(\w+-0)\b", text)}
    assert named == {"bazaruto", "postgres"}
    manifests = "\n---\n".join(p.read_text() for p in (guide.ROOT / "deploy/kubernetes").rglob("*.yaml"))
    objects = {
        (m["kind"], m["metadata"]["name"])
        for m in yaml.load_all(manifests, Loader=yaml.CSafeLoader)
        if m and m.get("kind") in ("Deployment", "StatefulSet", "Namespace")
    }
    assert {("Deployment", "bazaruto"), ("StatefulSet", "postgres"), ("Namespace", "bazaruto")} <= objects


def test_incident_report_asks_for_everything() -> None:
    report = guide.DOCS / "incident-report.md"
    assert _headings(report, 1) == ["Incident Report: [Incident ID]"]
    assert _headings(report, 2) == [
        "Summary",
        "Timeline",
        "Root Cause",
        "Impact",
        "Resolution",
        "Prevention",
        "Lessons Learned",
    ]
    text = report.read_text()
    for moment in (
        "Incident detected",
        "Investigation started",
        "Root cause identified",
        "Resolution implemented",
        "Service restored",
    ):
        assert f"- [Time] - {moment}" in text
    assert re.findall(r"^- (Users affected|Downtime|Business impact): ", text, re.MULTILINE) == [
        "Users affected",
        "Downtime",
        "Business impact",
    ]


def test_severities_of_the_guide_are_four_and_every_alert_has_one() -> None:
    levels = ["P1", "P2", "P3", "P4"]
    assert re.findall(r"^\| (P\d) \w+ \|", GUIDE.read_text(), re.MULTILINE) == levels
    index = (RUNBOOKS / "README.md").read_text()
    for runbook in RUNBOOKS.glob("*.md"):
        if runbook.stem != "README":
            (level,) = re.findall(r"^Level: (.+)$", runbook.read_text(), re.MULTILINE)
            assert level == "none" or level[:2] in levels
            assert f"| [{runbook.stem}]({runbook.name}) | " in index
            assert f" | {level} | " in index


def test_index_of_runbooks_has_every_alert_with_its_severity() -> None:
    folder = guide.ROOT / "deploy" / "prometheus"
    index = (RUNBOOKS / "README.md").read_text()
    rules = [
        rule
        for path in (*folder.glob("alerts/*.yml"), *folder.glob("*.yml"))
        for group in yaml.load(path.read_text(), Loader=yaml.CSafeLoader).get("groups", [])
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert rules
    for rule in rules:
        assert (RUNBOOKS / f"{rule['alert']}.md").exists()
        (row,) = re.findall(rf"^\| \[{rule['alert']}\].*$", index, re.MULTILINE)
        assert rule["labels"]["severity"] in row
