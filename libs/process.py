"""What every service process does first and last: read the configuration, begin to log and to count, run its verb.

With more than one worker, `serve` starts copies of itself that share the port (`SO_REUSEPORT`), and shows the
metrics of all of them together. A process that takes over from another shares its port until that one has left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import structlog

from libs import clock, listening, readiness, telemetry
from libs.config import Kind, load_or_exit
from libs.db.pool import check_capacity
from libs.telemetry import metrics, pages, recent_page

TAKE_OVER = "--take-over"  # marks a process that shares its port with the one that it replaces
_COPY_OF = "--copy-of="  # marks one of several processes at the same port, with the id of the one that started it
_LOOK_EVERY = 0.5  # seconds between two looks at the copies


def main(service: str, arguments: list[str], kind: type[Kind], **verbs: Callable[[Kind], None]) -> None:
    """Run the verb that the command line names: `serve`, `work`, `migrate`, or what else the service has.

    `kind` is the configuration that the verbs are given: `Settings`, or a subclass with a section of the service's own.
    """
    verb, *rest = arguments[1:] or [""]
    parent = rest[0].removeprefix(_COPY_OF) if rest and rest[0].startswith(_COPY_OF) else ""
    if verb not in verbs or rest not in ([], [f"{_COPY_OF}{parent}"], [TAKE_OVER]):
        sys.exit(f"usage: python -m services.{service}.main {'|'.join(verbs)} [{TAKE_OVER}]")
    settings = load_or_exit(kind)
    own = settings.services[service]
    is_copy, takes_over = bool(parent), rest == [TAKE_OVER]
    copies = own.workers if verb == "serve" and not is_copy else 1
    show = pages.serve_after if takes_over else pages.serve
    telemetry.start(settings, f"{service}-worker" if verb == "work" else service)
    recent_page.show(settings)
    try:
        if settings.environment != "production":
            clock.follow(settings.clock.file)
        if is_copy:
            threading.Thread(target=_leave_with_parent, args=(int(parent),), name="parent", daemon=True).start()
            pages.serve_to_parent(Path(os.environ[metrics.MULTIPROCESS_FOLDER]))
        elif verb in ("serve", "work"):
            check_capacity(own.db_url, settings.db, copies)
            if verb == "serve" and not takes_over and listening.is_taken(own.listen):
                raise RuntimeError(f"services.{service}.listen: somebody listens at {own.listen} already")
        if copies > 1:
            with tempfile.TemporaryDirectory(prefix=f"bazaruto-{service}-") as folder:
                metrics.share_between_workers(Path(folder))
                pages.add(pages.READY, lambda _query, _authorization: pages.readiness_of_copies(Path(folder)))
                show(own.metrics, Path(folder))
                _run_copies(f"services.{service}.main", copies)
            return
        if verb in ("serve", "work") and not is_copy:
            show(own.metrics if verb == "serve" else own.worker_metrics)
        verbs[verb](settings)
    except (ValueError, OSError, RuntimeError) as error:
        structlog.get_logger("main").error("stopped", error=str(error), exc_info=settings.log_level == "debug")
        sys.exit(1)
    finally:
        telemetry.stop()


def _run_copies(module: str, count: int) -> None:
    """Keep `count` copies running until SIGTERM or SIGINT; one that dies is started again."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    awaited = [readiness.Awaited() for _ in range(count)]
    copies = [_start_copy(module, one) for one in awaited]
    _pass_on((signal.SIGHUP, signal.SIGUSR2), copies)
    ready = False
    while not stopping.wait(_LOOK_EVERY if ready else _LOOK_EVERY / 10):
        if not ready and all(one.is_ready for one in awaited):
            ready = True
            readiness.tell()
        for index, copy in enumerate(copies):
            if copy.poll() is not None:
                structlog.get_logger("main").error("worker died", pid=copy.pid, exit_code=copy.returncode)
                metrics.forget_worker(copy.pid)
                copies[index] = _start_copy(module, awaited[index])
    for copy in copies:
        copy.terminate()
    for copy in copies:
        copy.wait()
    for one in awaited:
        one.close()


def _start_copy(module: str, awaited: readiness.Awaited) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, "serve", f"{_COPY_OF}{os.getpid()}"]
    return subprocess.Popen(command, env=os.environ | awaited.environment)  # noqa: S603 - this very program


def _leave_with_parent(parent: int) -> None:
    """Stop when the parent was killed: a copy left alone would hold the port for ever."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(numbers: Sequence[signal.Signals], copies: Sequence[subprocess.Popen[bytes]]) -> None:
    """Do what a signal asks for here and in every copy: open the log anew, change its level."""
    for number in numbers:
        here = signal.getsignal(number)

        def pass_on(signum: int, frame: FrameType | None, here: object = here) -> None:
            if callable(here):
                here(signum, frame)
            for copy in copies:
                copy.send_signal(signum)

        signal.signal(number, pass_on)
