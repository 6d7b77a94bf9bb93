"""A process that says something in every way there is: `python -m …noisy_process`, configured by its environment."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings

import structlog

from libs import telemetry
from libs.config import load
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
    for line in sys.stdin:
        log.info("told", line=line.strip())
        log.debug("told in detail")
    raise RuntimeError("the end")


if __name__ == "__main__":
    main()
