"""A process of the platform that logs, counts and traces nothing: `python -m …contenders.telemetry_off MODULE`.

The platform has no switch for this, as nobody runs it blind. What a main starts is taken away before it begins: the
library's tracer records nothing without a provider, loggers are made that drop every line, and counters do not count.
"""

from __future__ import annotations

import logging
import runpy
import sys

import prometheus_client
import structlog

from tests.performance.contenders.platform_code import Settings, telemetry


def take_away() -> None:
    """Let this process say nothing, from here on."""

    def start(settings: Settings, component: str) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        logging.disable(logging.CRITICAL)

    def nothing(*_: object) -> None:
        pass

    telemetry.start = start
    prometheus_client.Counter.inc = nothing  # type: ignore[method-assign,assignment]
    prometheus_client.Histogram.observe = nothing  # type: ignore[method-assign,assignment]
    prometheus_client.Gauge.set = nothing  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    take_away()
    sys.argv = [sys.argv[1], "serve"]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
