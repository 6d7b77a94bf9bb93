"""One process that serves the read RPC: `python -m tests.performance.contenders.bare chain|bare ADDRESS`.

Both serve the same servicer from the same database with as many threads. `chain` is what the service runs: telemetry,
errors, deadline, caller, access, validation. `bare` is the library alone: nothing is logged, counted, traced or asked.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc
from google.protobuf import descriptor_pool

from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import telemetry
from libs.config import Settings, load
from libs.db import Database
from libs.identity.callers import Caller
from libs.identity.verification import TokenVerifier
from libs.rpc import calls, methods
from libs.rpc.calls import Call
from libs.rpc.page_tokens import PageTokens
from libs.rpc.server import Server
from services.policies.clients import Quotes
from services.policies.lifecycle.servicer import PolicyServicer
from services.users.accounts.adapters.signing import SigningKeys

SERVICE = "bazaruto.policies.v1.PolicyService"
METHOD = f"/{SERVICE}/GetPolicy"
_NO_QUOTES = cast(Quotes, None)  # a read asks no neighbour


class Unasked(PolicyServicer):
    """The servicer without anybody who says who calls: every caller is the service itself."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _NO_QUOTES)
        method = methods.of_service(descriptor_pool.Default().FindServiceByName(SERVICE))[METHOD]
        nowhere = cast(grpc.ServicerContext, None)
        self._call = Call(method, {}, time.monotonic() + 86_400, nowhere, PageTokens(b""), Caller(service="bench"))

    def GetPolicy(self, request: pb.GetPolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        calls.enter(self._call)
        return super().GetPolicy(request, context)


def _serve_chain(settings: Settings, database: Database) -> None:
    telemetry.start(settings, "policies")
    keys = SigningKeys.load(settings.auth.key_folder)
    verifier = TokenVerifier(settings.auth, lambda: keys.public)
    server = Server("policies", settings, database, verifier)
    server.add(rpc_pb.add_PolicyServiceServicer_to_server, PolicyServicer(database, _NO_QUOTES))
    server.run()


def _serve_bare(settings: Settings, database: Database) -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    server = grpc.server(ThreadPoolExecutor(settings.threads, "call"))
    rpc_pb.add_PolicyServiceServicer_to_server(Unasked(database), server)
    server.add_insecure_port(settings.services["policies"].listen)
    database.open()
    server.start()
    stopping.wait()
    server.stop(0).wait()


def main(kind: str, address: str) -> None:
    """Serve until SIGTERM."""
    settings = load()
    services = dict(settings.services)
    services["policies"] = services["policies"].model_copy(update={"listen": address})
    settings = settings.model_copy(update={"services": services})
    database = Database(settings.services["policies"].db_url, settings.db, f"bench-{kind}")
    (_serve_chain if kind == "chain" else _serve_bare)(settings, database)


if __name__ == "__main__":
    main(*sys.argv[1:])
