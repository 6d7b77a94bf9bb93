"""`bazarutod backup`, `restore` and `drill`: progress for people on stderr, the outcome on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bazarutod import embedded
from bazarutod.backup import BackupError, Tell, drill, dumping, restoring
from bazarutod.backup.manifest import Manifest
from bazarutod.masking import without_passwords
from bazarutod.progress import progress
from bazarutod.running import SUPERUSER, FolderInUse, alone, embedded_urls, with_role
from bazarutod.stack import SERVICES
from libs import clock
from libs.config import load


def back_up(folder: Path, to: Path | None, login: str, as_json: bool) -> None:
    """Back up every service's database of the configuration, or of the platform that runs in `folder`."""
    to = to or Path("backups") / f"backup_{clock.real_now().astimezone():%Y%m%d_%H%M%S}"
    with _exiting_on_errors(), progress(Console(stderr=True, highlight=False)) as tell:
        urls = {name: _url(folder, name, login) for name in SERVICES}
        backup = dumping.back_up(urls, to, tell)
    _warn(backup)
    if as_json:
        _print_json({"folder": str(to.absolute()), **_summary(backup)})
    else:
        _print_content(backup)
        Console().print(f"Backed up {backup.rows:,} rows into {to}", soft_wrap=True, highlight=False)


def restore(backup: Path, folder: Path, server: str, only_check: bool, as_json: bool) -> None:
    """Restore a backup: to the server of a URL, or into the data folder of a platform that does not run."""
    with _exiting_on_errors(), progress(Console(stderr=True, highlight=False)) as tell:
        if only_check:
            restored = restoring.check(backup)
        elif server:
            restored = restoring.restore(backup, server, tell)
        else:
            restored = _restore_embedded(backup, folder, tell)
    _warn(restored)
    if as_json:
        _print_json({"folder": str(backup.absolute()), "restored": not only_check, **_summary(restored)})
    else:
        _print_content(restored)
        outcome = "Every file is whole" if only_check else "Restored and compared"
        moment = f"{restored.taken_at:%Y-%m-%d %H:%M:%S %Z}"
        Console().print(f"{outcome}: {restored.rows:,} rows of {moment}", highlight=False)


def run_drill(rows: int, within: float, as_json: bool) -> None:
    """Lose a server and get it back to a moment; ends with 1 when anything differs or it takes too long."""
    with _exiting_on_errors(), progress(Console(stderr=True, highlight=False)) as tell:
        report = drill.run(rows, tell)
    if report.recovery_seconds > within:
        report.wrong.append(f"the recovery took {report.recovery_seconds:.1f} s, more than {within:g} s")
    if as_json:
        steps = [{"name": s.name, "seconds": round(s.seconds, 3), "detail": s.detail} for s in report.steps]
        figures = {"seconds": round(report.seconds, 3), "recovery_seconds": round(report.recovery_seconds, 3)}
        _print_json({"rows": report.rows, "moment": report.moment, **figures, "steps": steps, "wrong": report.wrong})
    else:
        table = Table("step", "seconds", "", box=None)
        for step in report.steps:
            table.add_row(step.name, f"{step.seconds:.2f}", step.detail)
        Console(highlight=False).print(table)
        durations = f"{report.recovery_seconds:.1f} s (whole drill {report.seconds:.1f} s)"
        outcome = "; ".join(report.wrong) or "Nothing is lost, nothing is too much."
        Console(highlight=False).print(f"Recovered {report.rows:,} rows in {durations}. {outcome}")
    if report.wrong:
        sys.exit(1)


def _url(folder: Path, service: str, login: str) -> str:
    url = load().services[service].db_url
    if not url:
        raise BackupError(f"services.{service}.db_url is not set, and no platform runs in {folder}")
    if not login and url in embedded_urls(folder):
        login = SUPERUSER  # reads what the service's own role may not
    return with_role(url, login) if login else url


def _restore_embedded(backup: Path, folder: Path, tell: Tell) -> Manifest:
    restoring.check(backup)  # before a server is set up for it
    try:
        with alone(folder):
            tell("Starting PostgreSQL")
            server = embedded.start(folder.absolute() / "pg")
            try:
                return restoring.restore(backup, server.url("postgres"), tell)
            finally:
                server.stop()
    except FolderInUse:
        reason = f"the platform of {folder} is running: stop it first, or name a server with --server"
        raise BackupError(reason) from None


def _summary(backup: Manifest) -> dict[str, Any]:
    databases = {
        dump.database: {
            "rows": dump.content.rows,
            "bytes": dump.size,
            "tables": {name: table.rows for name, table in dump.content.tables.items()},
        }
        for dump in backup.dumps.values()
    }
    summary = {"taken_at": backup.taken_at.isoformat(), "rows": backup.rows, "databases": databases}
    return {**summary, "trial_balance": _balance(backup)}


def _balance(backup: Manifest) -> Mapping[str, int]:
    return {
        currency: sums.difference
        for dump in backup.dumps.values()
        for currency, sums in dump.content.trial_balance.items()
    }


def _print_content(backup: Manifest) -> None:
    table = Table("database", "tables", "rows", "bytes", "trial balance", box=None)
    for dump in backup.dumps.values():
        content = dump.content
        balance = ", ".join(f"{currency} {sums.difference}" for currency, sums in content.trial_balance.items())
        table.add_row(dump.database, str(len(content.tables)), f"{content.rows:,}", f"{dump.size:,}", balance)
    Console(highlight=False).print(table)


def _warn(backup: Manifest) -> None:
    """Books that were out of order are kept as they were: the backup may be what mends them."""
    for dump in backup.dumps.values():
        for imbalance in dump.content.unbalanced():
            print(f"warning: {dump.database}: {imbalance}", file=sys.stderr)


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2))


@contextmanager
def _exiting_on_errors() -> Iterator[None]:
    try:
        yield
    except (BackupError, embedded.EmbeddedError) as error:
        sys.exit(without_passwords(str(error)))  # a driver's message may hold a URL
