"""What every service process does first and last: read the configuration, begin to log and to count, run its verb.

With more than one worker, `serve` starts copies of itself that share the port (`SO_REUSEPORT`), and shows the
metrics of all of them together.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import structlog

from libs import telemetry
from libs.config import Settings, load_or_exit
from libs.db.pool import check_capacity
from libs.telemetry import metrics, pages, recent_page

Verb = Callable[[Settings], None]

_COPY = "--copy"  # marks a process that shares its port with others
_LOOK_EVERY = 0.5  # seconds between two looks at the copies


def main(service: str, arguments: list[str], **verbs: Verb) -> None:
    """Run the verb that the command line names: `serve`, `work`, `migrate`, or what else the service has."""
    verb, *rest = arguments[1:] or [""]
    if verb not in verbs or rest not in ([], [_COPY]):
        sys.exit(f"usage: python -m services.{service}.main {'|'.join(verbs)}")
    settings = load_or_exit()
    own = settings.services[service]
    is_copy = bool(rest)
    copies = own.workers if verb == "serve" and not is_copy else 1
    telemetry.start(settings, f"{service}-worker" if verb == "work" else service)
    recent_page.show(settings)
    try:
        if is_copy:
            pages.serve_to_parent(Path(os.environ[metrics.MULTIPROCESS_FOLDER]))
        elif verb in ("serve", "work"):
            check_capacity(own.db_url, settings.db, copies)
        if copies > 1:
            with tempfile.TemporaryDirectory(prefix=f"bazaruto-{service}-") as folder:
                metrics.share_between_workers(Path(folder))
                pages.serve(own.metrics, Path(folder))
                _run_copies(f"services.{service}.main", copies)
            return
        if verb in ("serve", "work") and not is_copy:
            pages.serve(own.metrics if verb == "serve" else own.worker_metrics)
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
    _pass_on((signal.SIGHUP, signal.SIGUSR2), copies)
    while not stopping.wait(_LOOK_EVERY):
        for index, copy in enumerate(copies):
            if copy.poll() is not None:
                structlog.get_logger("main").error("worker died", pid=copy.pid, exit_code=copy.returncode)
                metrics.forget_worker(copy.pid)
                copies[index] = subprocess.Popen(command)  # noqa: S603
    for copy in copies:
        copy.terminate()
    for copy in copies:
        copy.wait()


def _pass_on(numbers: Sequence[signal.Signals], copies: Sequence[subprocess.Popen[bytes]]) -> None:
    """Do what a signal asks for here and in every copy: open the log anew, change its level."""
    for number in numbers:
        here = signal.getsignal(number)

        def pass_on(told: int, frame: FrameType | None, here: object = here) -> None:
            if callable(here):
                here(told, frame)
            for copy in copies:
                copy.send_signal(told)

        signal.signal(number, pass_on)
