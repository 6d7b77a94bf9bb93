"""Every process is replaced at a hundred requests a second, against the same load left alone."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from tests.performance.bench import Bench, Site
from tests.performance.buying import QUOTE_PATH, quote_request
from tests.performance.figures import Figure, Target
from tests.performance.load import Burst, CannotMeasure, tails
from tests.performance.readers import settings_of
from tests.performance.trees import clean_environment

_PER_SECOND = 100
_SPARE = 3.0  # seconds of load before and after
_MOST = 300.0  # seconds for all processes


def measure(bench: Bench) -> list[Figure]:
    """Requests that failed, and the tail of the others. The whole machine takes part."""
    site = bench.site(bench.head)
    site.platform.place()
    seconds = _restart(site)  # so long it takes; the first time also warms up
    during, alone = [], []
    for _ in range(bench.effort.restarts):
        alone.append(_load(bench, site, bench.effort.left_alone))
        restart = _restarting(site)
        during.append(_load(bench, site, seconds + _SPARE))
        _finish(restart)
    failed = [float(sum(burst.failures.values())) for burst in during]
    return [
        Figure("requests that failed", "of all", failed, target=Target(0)),
        Figure("p99", "ms", tails(during), tails(alone), "left alone", Target(2)),
    ]


def _load(bench: Bench, site: Site, seconds: float) -> Burst:
    file = bench.generator.file(_requests(site))
    order = {"kind": "open", "address": site.platform.gateway, "requests": file, "rate": _PER_SECOND}
    return bench.generator.burst(dict, tolerant=True, seconds=seconds, **order)


def _requests(site: Site) -> list[dict[str, Any]]:
    """Reads and writes of every service in turn, by customers in turn."""
    described: list[dict[str, Any]] = []
    quote = quote_request(site.callers.names_objects)
    for read, customer in zip(site.callers.reads(100), site.callers.customers, strict=True):
        token = customer.token
        described += [
            read,
            {"method": "GET", "path": "/v1/policies?pageSize=5", "token": token},
            {"method": "GET", "path": "/v1/invoices?pageSize=5", "token": token},
            {"method": "POST", "path": f"{QUOTE_PATH}:calculate", "body": quote, "token": token},
            {"method": "GET", "path": f"/v1/users/{customer.shown_id}", "token": token},
            {"method": "POST", "path": QUOTE_PATH, "body": quote, "token": token, "keyed": True},
        ]
    return described


def _restart(site: Site) -> float:
    started = time.monotonic()
    _finish(_restarting(site))
    return time.monotonic() - started


def _restarting(site: Site) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [site.platform.tree.command, "restart", "--folder", str(site.platform.folder)],
        cwd=site.platform.tree.folder,
        env=clean_environment(settings_of(site.platform, "users")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(restart: subprocess.Popen[str]) -> None:
    try:
        printed, _ = restart.communicate(timeout=_MOST)
    except subprocess.TimeoutExpired:
        restart.kill()
        raise CannotMeasure(f"the processes were not replaced within {_MOST:.0f} s") from None
    if restart.returncode:
        raise CannotMeasure(f"the processes were not replaced: {printed.strip()[-500:]}")
