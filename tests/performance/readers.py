"""Whoever answers the read of a policy: the platforms of the trees, and what people use instead of one.

Each is asked by the customers who own the policies. What is measured stays on one core; the rest of a platform, with
PostgreSQL, on the other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from tests.performance import machine
from tests.performance.bench import Bench
from tests.performance.callers import Callers
from tests.performance.load import CALLERS, Burst, CannotMeasure, Named
from tests.performance.platform import Platform, free_address
from tests.performance.trees import Tree, clean_environment

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who answers reads at an address; `processes` are what that costs."""

    address: str
    requests: str
    processes: Named


@contextmanager
def started(
    bench: Bench,
    name: str,
    arguments: Sequence[str],
    settings: Mapping[str, str],
    cores: set[int] = machine.MEASURED,
) -> Iterator[int]:
    """A process of this tree's interpreter on some cores; gives its id. Its log is in the folder of the run."""
    with (bench.folder / f"{name}.log").open("wb") as log, machine.on_cores(cores):
        process = subprocess.Popen(
            [bench.head.python, "-m", *arguments],
            cwd=bench.head.folder,
            env=clean_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def settings_of(platform: Platform, name: str) -> dict[str, str]:
    """How one of the processes of a platform is configured, for another one that is to be like it."""
    return {key: value for key, value in platform.environment(name).items() if key.startswith("BAZARUTO_")}


def platform_reader(bench: Bench, tree: Tree, *measured: str) -> Reader:
    """The platform of a tree, with these of its processes on the measured core."""
    site = bench.site(tree)
    site.platform.place(*measured)
    return Reader(site.platform.gateway, bench.generator.file(site.callers.reads()), site.platform.processes)


def monolith(bench: Bench, running: ExitStack, form: str) -> Reader:
    """A form of the FastAPI monolith on the database of this tree: one worker, no log but its own."""
    site, address = bench.site(bench.head), free_address()
    host, _, port = address.rpartition(":")
    options = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--no-ws", "--log-level", "warning"]
    options += ["--host", host, "--port", port, "--factory", f"tests.performance.contenders.{form}:application"]
    pid = running.enter_context(started(bench, form, ["granian", *options], settings_of(site.platform, "policies")))
    await_policy(bench, form, address, site.callers)
    postgres = site.platform.processes()["postgres"]
    return Reader(address, bench.generator.file(site.callers.reads()), lambda: {"monolith": pid, "postgres": postgres})


def pair(
    bench: Bench,
    running: ExitStack,
    name: str,
    changes: Mapping[str, str],
    *,
    through: str = "",
    cores: set[int] = machine.MEASURED,
) -> Reader:
    """Another gateway and policies service of this tree beside those of its platform, differently configured.

    `through` is a module that runs theirs.
    """
    site = bench.site(bench.head)
    own = {f"BAZARUTO_SERVICES__POLICIES__{key}": free_address() for key in ("LISTEN", "METRICS")}
    own |= {"BAZARUTO_GATEWAY__LISTEN": free_address()} | dict(changes)
    pids = {"postgres": site.platform.processes()["postgres"]}
    for process in ("policies", "gateway"):
        module = site.platform.module(process)
        arguments = [through, module] if through else [module, "serve"]
        settings = settings_of(site.platform, process) | own
        pids[process] = running.enter_context(started(bench, f"{name}-{process}", arguments, settings, cores))
    address = own["BAZARUTO_GATEWAY__LISTEN"]
    await_policy(bench, f"{name}-policies", address, site.callers)
    return Reader(address, bench.generator.file(site.callers.reads()), lambda: pids)


def await_policy(bench: Bench, name: str, address: str, callers: Callers) -> dict[str, Any]:
    """A policy as it is answered at an address, once it is. `CannotMeasure` with the log when it never is."""
    read, deadline = callers.reads(1)[0], time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            headers = {"authorization": f"Bearer {read['token']}"}
            answer = httpx.get(f"http://{address}{read['path']}", headers=headers, timeout=5)
            return dict(answer.raise_for_status().json())
        time.sleep(0.1)
    log = bench.folder / f"{name}.log"
    raise CannotMeasure(f"{name} did not answer: {log.read_text(errors='replace')[-1500:] if log.exists() else ''}")


def closed(bench: Bench, reader: Reader) -> Callable[[float], Burst]:
    """A contender: callers who ask again as soon as they are answered."""
    order: dict[str, Any] = {
        "kind": "closed",
        "address": reader.address,
        "requests": reader.requests,
        "callers": CALLERS,
    }
    return lambda seconds: bench.generator.burst(reader.processes, seconds=seconds, **order)


def at_rate(bench: Bench, reader: Reader, rate: float) -> Callable[[float], Burst]:
    """A contender: callers who come at a fixed rate, whoever is still waiting."""
    order: dict[str, Any] = {"kind": "open", "address": reader.address, "requests": reader.requests, "rate": rate}
    return lambda seconds: bench.generator.burst(reader.processes, seconds=seconds, **order)
