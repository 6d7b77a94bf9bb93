"""What every service process does first and last: read the configuration, begin to log and to count, run its verb.

With more than one worker, `serve` starts copies of itself that share the port (`SO_REUSEPORT`), and shows the
metrics of all of them together.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from libs import telemetry
from libs.config import Settings, load_or_exit
from libs.telemetry import metrics

Verb = Callable[[Settings], None]

_COPY = "--copy"  # marks a process that shares its port with others
_LOOK_EVERY = 0.5  # seconds between two looks at the copies


def main(service: str, arguments: list[str], **verbs: Verb) -> None:
    """Run the verb that the command line names: `serve`, `work`, `migrate`, or what else the service has."""
    verb, *rest = arguments[1:] or [""]
    if verb not in verbs or rest not in ([], [_COPY]):
        sys.exit(f"usage: python -m services.{service}.main {'|'.join(verbs)}")
    settings = load_or_exit()
    copies = settings.services[service].workers if verb == "serve" and not rest else 1
    telemetry.start(settings, f"{service}-worker" if verb == "work" else service)
    try:
        if verb == "serve" and not rest:
            if copies > 1:
                metrics.share_between_workers(Path(tempfile.mkdtemp(prefix=f"bazaruto-{service}-")))
            metrics.serve(settings.services[service].metrics)
        elif verb == "work":
            metrics.serve(settings.services[service].worker_metrics)
        if copies > 1:
            _run_copies(f"services.{service}.main", copies)
        else:
            verbs[verb](settings)
    except (ValueError, OSError, RuntimeError) as error:
        structlog.get_logger("main").error("stopped", error=str(error), exc_info=settings.log_level == "debug")
        sys.exit(1)
    finally:
        telemetry.stop()


def _run_copies(module: str, count: int) -> None:
    """Keep `count` copies running until SIGTERM or SIGINT; one that dies is started again."""
    command = [sys.executable, "-m", module, "serve", _COPY]
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    copies = [subprocess.Popen(command) for _ in range(count)]  # noqa: S603 - this very program
    while not stopping.wait(_LOOK_EVERY):
        for index, copy in enumerate(copies):
            if copy.poll() is not None:
                structlog.get_logger("main").error("worker died", pid=copy.pid, exit_code=copy.returncode)
                copies[index] = subprocess.Popen(command)  # noqa: S603
    for copy in copies:
        copy.terminate()
    for copy in copies:
        copy.wait()
