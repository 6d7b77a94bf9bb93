"""A process that says something in every way there is: `python -m …noisy_process`, configured by its environment."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from typing import Any

import structlog

from libs import telemetry
from libs.config import load
from libs.signals import SignalledEvent
from libs.telemetry.traces import tracer


def main() -> None:
    """Say it all, wait for the end of standard input, and end with an error that nobody catches."""
    telemetry.start(load(), "noisy")
    log = structlog.get_logger("noisy")
    log.debug("a detail")
    with tracer.start_as_current_span("work"):
        log.info("within a span", response_time=12.5, email="ana@example.com")
    logging.getLogger("library").warning("of a %s", "library")
    logging.getLogger("library").debug("a detail of a library")
    warnings.warn("an old way", DeprecationWarning, stacklevel=1)
    os.write(2, b"E0000 00:00:00.000 1 file.cc:1] printed by C\nand a second line\n")
    print("printed by Python", file=sys.stderr)
    try:
        raise LookupError("a fault\nof two lines")
    except LookupError:
        log.exception("job failed")
    broken = threading.Thread(target=lambda: 1 // 0, name="broken")
    broken.start()
    broken.join()
    log.info("ready")
    over = SignalledEvent()
    threading.Thread(target=_repeat, args=(log, over)).start()
    over.wait()
    raise RuntimeError("the end")


def _repeat(log: Any, over: threading.Event) -> None:
    """Log what is told on standard input. The main thread is left to wait for signals, as in every process of ours."""
    for line in sys.stdin:
        log.info("told", line=line.strip())
        log.debug("told in detail")
    over.set()


if __name__ == "__main__":
    main()
