"""What everything around a servicer costs, against the same servicer on the library alone."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import grpc

from tests.performance.bench import Bench
from tests.performance.callers import Callers
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.load import CALLERS, CannotMeasure, cpu, rates
from tests.performance.platform import free_address
from tests.performance.readers import settings_of, started
from tests.performance.rounds import take_turns

METHOD = "/bazaruto.policies.v1.PolicyService/GetPolicy"
NAME = "CPU of the service"
_BARE = "bare grpc.server"
_START_SECONDS = 30.0


def measure(bench: Bench) -> list[Figure]:
    """CPU time of the process that serves, for each call; PostgreSQL has the same to do for both."""
    with ExitStack() as running:
        contenders = {}
        for tree in bench.trees:
            site = bench.site(tree)
            site.platform.place("policies")
            pid = site.platform.processes()["policies"]
            address = settings_of(site.platform, "policies")["BAZARUTO_SERVICES__POLICIES__LISTEN"]
            contenders[tree.name] = partial(_burst, bench, pid, _order(bench, site.callers, address))
        site, address = bench.site(bench.head), free_address()
        arguments = [f"{CONTENDERS}.bare", address]
        settings = settings_of(site.platform, "policies")
        pid = running.enter_context(started(bench, "bare", arguments, settings))
        contenders[_BARE] = partial(_burst, bench, pid, _order(bench, site.callers, address))
        bursts = take_turns(bench.effort, contenders)
    own, bare = bursts["HEAD"], bursts[_BARE]
    return [
        Figure(NAME, "µs", cpu(own), cpu(bare), _BARE, Target(1.25), rates=rates(own), other_rates=rates(bare)),
        bench.cpu_versus_base(NAME, bursts),
    ]


def _burst(bench: Bench, pid: int, order: dict[str, Any], seconds: float) -> Any:
    return bench.generator.burst(lambda: {"server": pid}, seconds=seconds, **order)


def _order(bench: Bench, callers: Callers, address: str) -> dict[str, Any]:
    """The calls, once the server has answered one of them in earnest."""
    numbers = range(1, callers.policies)
    calls = [(_request(callers.policy_id(number)), callers.owner(number).token) for number in numbers]
    _await_reply(address, *calls[0])
    file = bench.generator.file(
        [{"request": base64.b64encode(message).decode(), "token": token} for message, token in calls]
    )
    return {"kind": "grpc", "address": address, "method": METHOD, "requests": file, "callers": CALLERS}


def _request(policy_id: str) -> bytes:
    """`GetPolicyRequest` as it is on the wire: its first field is the id."""
    return b"\x0a" + bytes([len(policy_id)]) + policy_id.encode()


def _await_reply(address: str, message: bytes, token: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(address) as channel:
        call: Callable[..., bytes] = channel.unary_unary(METHOD)
        while True:
            try:
                call(message, metadata=(("authorization", f"Bearer {token}"),), timeout=5)
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    raise CannotMeasure(f"nobody answers calls at {address}: {error}") from error
                time.sleep(0.1)
            else:
                return
