"""`bazarutod doctor`: the first look of somebody who was woken, taken by a program.

Every check is a plain function that only reads. They run side by side, and none of them may keep the others waiting:
what is not known after three seconds is a failure by itself.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bazarutod.doctor import databases, machine, processes, records, secrets
from bazarutod.doctor.finding import Check, Finding, Patient
from bazarutod.settings import load_suite
from bazarutod.stack import PROCESSES, SERVICES
from libs.config import ConfigError

PATIENCE = 3.0  # seconds for every check; they run at the same time
_WIDEST = {"check": 14, "state": 8, "what": 34, "finding": 90}
_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}

CHECKS: tuple[Check, ...] = (
    *(Check("process", process.name, partial(processes.look, process)) for process in PROCESSES),
    *(Check("database", service, partial(databases.look, service)) for service in SERVICES),
    Check("redis", "redis", machine.redis_answers),
    Check("disk", "disk", machine.disks_have_room),
    Check("secrets", "secrets", secrets.look),
    Check("logs", "logs", records.errors_in_logs),
    Check("backup", "backup", records.last_backup),
)


def run(folder: Path, as_json: bool) -> None:
    """Look at everything, print it, and end with 1 when something has failed."""
    started = time.monotonic()
    try:
        settings = load_suite()
    except ConfigError as error:
        # Nothing else can be found without knowing where it is.
        advice = "Correct the keys; config.yaml in the project explains each of them."
        findings = [Finding("configuration", "bazaruto", "failure", f"cannot be used: {error}", advice)]
    else:
        findings = [Finding("configuration", "bazaruto", "ok", "is valid"), *examine(Patient(settings, folder))]
    seconds = time.monotonic() - started
    if as_json:
        document = {"status": worst(findings), "seconds": round(seconds, 3), "checks": [asdict(f) for f in findings]}
        print(json.dumps(document, indent=2))
    else:
        _print(findings, seconds)
    sys.stdout.flush()
    sys.exit(1 if worst(findings) == "failure" else 0)


def examine(patient: Patient, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What every check says, in the order of the list, after three seconds at the latest."""
    findings: dict[int, list[Finding]] = {}

    def look(number: int, check: Check) -> None:
        try:
            findings[number] = list(check.look(patient))
        except Exception as error:  # noqa: BLE001 - a check that fails must not hide what the others found
            said = f"could not be looked at: {type(error).__name__}: {error}"
            findings[number] = [Finding(check.name, check.subject, "failure", said, "Look at it by hand.")]

    # Daemons, not a pool: a check that hangs is left behind when the program ends.
    threads = [threading.Thread(target=look, args=pair, daemon=True) for pair in enumerate(checks)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"did not answer within {PATIENCE:.0f} s"
    return [
        finding
        for number, check in enumerate(checks)
        for finding in findings.get(
            number, [Finding(check.name, check.subject, "failure", late, "See whether it hangs.")]
        )
    ]


def worst(findings: Sequence[Finding]) -> str:
    """The state of the whole."""
    states = {finding.state for finding in findings}
    return next((state for state in ("failure", "warning") if state in states), "ok")


def _print(findings: Sequence[Finding], seconds: float) -> None:
    console = Console(highlight=False)
    table = Table(box=SIMPLE_HEAD)
    for column in ("check", "state", "what", "finding"):
        table.add_column(column, no_wrap=column in ("check", "state"), overflow="fold", max_width=_WIDEST[column])
    # What is wrong comes last: that is what a terminal still shows.
    for finding in sorted(_merged(findings), key=lambda finding: list(_COLOURS).index(finding.state)):
        said = escape(finding.said) + (f"\n[dim]→ {escape(finding.advice)}[/]" if finding.advice else "")
        state = f"[{_COLOURS[finding.state]}]{finding.state}[/]"
        table.add_row(finding.check, state, escape(finding.subject), said)
    console.print(table)
    failures, warnings = (sum(finding.state == state for finding in findings) for state in ("failure", "warning"))
    console.print(f"Looked at {len(findings)} things in {seconds:.1f} s. Failures: {failures}, warnings: {warnings}.")


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """What is said of several in the same words, said once."""
    subjects: dict[Finding, list[str]] = {}
    for finding in findings:
        alike = Finding(finding.check, "", finding.state, finding.said, finding.advice)
        subjects.setdefault(alike, []).append(finding.subject)
    return [Finding(f.check, ", ".join(names), f.state, f.said, f.advice) for f, names in subjects.items()]
