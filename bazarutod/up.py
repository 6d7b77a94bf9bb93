"""`bazarutod up`: from nothing to a running platform, with progress, and down again in order."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bazarutod import provisioning
from bazarutod.progress import progress
from bazarutod.restart import Requests
from bazarutod.running import RUN_FOLDER, STATE, FolderInUse, alone
from bazarutod.settings import load_suite
from bazarutod.stack import PROCESSES
from bazarutod.supervisor import StartError, Supervisor
from libs import readiness
from libs.config import Settings, load

_INTERRUPTED = 130  # as shells have it
_LOOK_EVERY = 0.5
_RESTART_AFTER = 1.0  # seconds; a process that dies at once must not spin


def run(folder: Path) -> None:
    """Run the platform in the foreground until SIGINT or SIGTERM, which end it while it starts, too."""
    console = Console(highlight=False)
    try:
        with alone(folder):
            _run(folder, console)
    except FolderInUse:
        sys.exit(f"The platform of {folder} is running already.")


def _run(folder: Path, console: Console) -> None:
    stopping = threading.Event()
    # A signal is looked at between two steps: one that came while a process is being started would leave it behind.
    _on_signal(stopping.set)
    started = time.monotonic()
    settings: Settings = load_suite()
    if busy := provisioning.busy_addresses(settings):
        sys.exit(f"Somebody listens on {', '.join(busy)}. Stop that, or configure other addresses (see config.yaml).")
    supervisor = None
    provision = provisioning.Provision()
    requests = Requests()
    try:
        with progress(console) as shown:

            def tell(step: str) -> None:
                if stopping.is_set():
                    sys.exit(_INTERRUPTED)
                shown(step)

            provision = provisioning.prepare(folder, settings, tell)
            provisioning.apply(provision.environment)
            settings = load()
            provisioning.migrate(settings, tell)
            supervisor = Supervisor(settings, os.environ, folder / "logs")
            tell(f"Starting {len(PROCESSES)} processes")
            supervisor.start(on_ready=lambda name: console.print(f"  [green]ready[/] {name}"), given_up=stopping.is_set)
        state = {"pid": os.getpid(), "control": requests.path, "environment": provision.environment}
        (folder / STATE).touch(mode=0o600)
        (folder / STATE).write_text(json.dumps(state))
        readiness.tell()
        console.print(_welcome(settings, folder, time.monotonic() - started), soft_wrap=True)
        _watch(supervisor, requests, console, stopping)
    except (StartError, RuntimeError, ValueError) as error:
        if stopping.is_set():
            sys.exit(_INTERRUPTED)
        console.print(f"[red]The platform did not start.[/] {escape(str(error))}")
        sys.exit(1)
    finally:
        (folder / STATE).unlink(missing_ok=True)
        requests.close()
        with progress(console) as shown:
            shown("Stopping")
            if supervisor:
                supervisor.stop(on_stopped=lambda name: shown(f"Stopped {name}"))
            provision.stop()
        console.print("Stopped.")


def _on_signal(act: Callable[[], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: act())


def _watch(supervisor: Supervisor, requests: Requests, console: Console, stopping: threading.Event) -> None:
    """Start again what dies, replace what is asked for, and say so."""
    while not stopping.wait(_LOOK_EVERY):
        for line in requests.serve(supervisor, stopping.is_set):
            console.print(line, markup=False)
        for process in supervisor.dead():
            console.print(f"[red]{process.name} died[/]; starting it again. The end of its log:")
            console.print(supervisor.tail(process.name, 5), markup=False)
            stopping.wait(_RESTART_AFTER)
            supervisor.spawn(process)


def _welcome(settings: Settings, folder: Path, seconds: float) -> str:
    gateway = f"http://{settings.gateway.listen}"
    services = "\n".join(
        f"  {name:<14}{service.target}   metrics http://{service.metrics}/metrics"
        for name, service in settings.services.items()
    )
    at = "" if folder == RUN_FOLDER else f" --folder {folder}"
    return f"""
[bold green]Bazaruto is ready[/] after {seconds:.1f} s.

  gateway       {gateway}
  reference     {gateway}/docs
  health        {gateway}/healthz/detailed
{services}
  logs          {folder}/logs

Buy a policy:  .venv/bin/bazarutod demo{at}      (or step by step with curl, as README.md shows)
Restart:       .venv/bin/bazarutod restart{at}   (one process after another; nobody is turned away)
An admin:      .venv/bin/bazarutod create-admin{at} you@example.com
Ctrl-C stops everything.
"""
