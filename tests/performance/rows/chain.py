"""Figure 3: what everything around a servicer costs, against the same servicer on the library alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import grpc

from bazaruto.policies.v1 import policy_pb2 as pb
from tests.performance import ground, load, machine
from tests.performance.contenders import bare
from tests.performance.ground import Ground
from tests.performance.load import CannotMeasure, UnaryCall
from tests.performance.rounds import Effort, take_turns
from tests.performance.table import Figure, Target
from tests.support.servers import free_address

NAME = "read RPC with the whole chain"
_START_SECONDS = 30.0


def measure(effort: Effort) -> list[Figure]:
    """CPU time of the server for each call."""
    load.require("h2load")
    with ExitStack() as running:
        shared = running.enter_context(ground.prepared())
        contenders = []
        for kind in ("chain", "bare"):
            address = free_address()
            arguments = [bare.__name__, kind, address]
            pid = running.enter_context(ground.running_server(shared, kind, arguments))
            contenders.append(partial(_cost, pid, _call(shared, kind, address)))
        own, other = take_turns(effort, contenders)
    return [Figure(NAME, "µs CPU", own, other, "bare grpc.server", Target(1.4))]


def _cost(pid: int, call: UnaryCall, seconds: float) -> float:
    before = machine.cpu_seconds(pid)
    burst = load.grpc(call, seconds)
    return (machine.cpu_seconds(pid) - before) / burst.requests * 1e6


def _call(shared: Ground, kind: str, address: str) -> UnaryCall:
    """The call as the load generator repeats it, once a server has answered it in earnest."""
    request = pb.GetPolicyRequest(policy_id=shared.policy_id).SerializeToString()
    reply = _first_reply(shared, kind, address, request)
    found = pb.Policy.FromString(reply)
    if found.policy_id != shared.policy_id or found.user_id != shared.owner_id:
        raise CannotMeasure(f"the {kind} server told another policy: {found}")
    file = shared.folder / "request.bin"
    file.write_bytes(load.frame(request))
    url = f"http://{address}{bare.METHOD}"
    return UnaryCall(url, shared.authorization, file, len(load.frame(reply)))


def _first_reply(shared: Ground, kind: str, address: str, request: bytes) -> bytes:
    deadline = time.monotonic() + _START_SECONDS
    with grpc.insecure_channel(address) as channel:
        call: Callable[..., bytes] = channel.unary_unary(bare.METHOD)
        while True:
            try:
                reply = call(request, metadata=(("authorization", shared.authorization),), timeout=5)
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    log = (shared.folder / f"{kind}.log").read_text(errors="replace")
                    raise CannotMeasure(f"the {kind} server did not answer: {log[-2000:]}") from error
                time.sleep(0.1)
            else:
                return reply
