"""Stand-ins for what `/ops` asks: services that report, one that hangs, one that is not there, and alerts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2

from bazaruto.operations.v1 import operations_pb2, operations_pb2_grpc
from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc
from bazarutod.ports import free_port
from tests.integration.gateway.gateway_process import RunningGateway, running_gateway
from tests.support.people import People
from tests.support.servers import free_address

HANGS = 30.0  # seconds


@dataclass
class Reporting(operations_pb2_grpc.OperationsServiceServicer):
    """A service that reports what it is told to, after a while."""

    report: operations_pb2.ServiceReport
    seconds: float = 0
    asked: list[tuple[operations_pb2.GetServiceReportRequest, dict[str, Any]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def GetServiceReport(
        self, request: operations_pb2.GetServiceReportRequest, context: grpc.ServicerContext
    ) -> operations_pb2.ServiceReport:
        self.asked.append((request, dict(context.invocation_metadata())))
        self.ended.wait(self.seconds)
        return self.report


class LoggingIn(auth_pb2_grpc.AuthServiceServicer):
    """Lets everybody in as an administrator, for a moment."""

    def __init__(self, people: People) -> None:
        self._people = people

    def LogIn(self, request: auth_pb2.LogInRequest, context: grpc.ServicerContext) -> auth_pb2.Tokens:
        token = self._people.admin().authorization.removeprefix("Bearer ")
        return auth_pb2.Tokens(access_token=token, token_type="Bearer", refresh_token="r")

    def RefreshTokens(self, request: auth_pb2.RefreshTokensRequest, context: grpc.ServicerContext) -> auth_pb2.Tokens:
        return self.LogIn(auth_pb2.LogInRequest(), context)

    def LogOut(self, request: auth_pb2.LogOutRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def ListEndedSessions(
        self, request: auth_pb2.ListEndedSessionsRequest, context: grpc.ServicerContext
    ) -> auth_pb2.ListEndedSessionsResponse:
        return auth_pb2.ListEndedSessionsResponse()

    def ListPublicKeys(
        self, request: auth_pb2.ListPublicKeysRequest, context: grpc.ServicerContext
    ) -> auth_pb2.JsonWebKeySet:
        return auth_pb2.JsonWebKeySet(keys=[auth_pb2.JsonWebKey(**key) for key in self._people.keys.json_web_keys()])


@dataclass
class Operated:
    """A gateway, with users and quotes that report, payments that hang, and policies that are not there."""

    gateway: RunningGateway
    users: Reporting
    quotes: Reporting


@contextmanager
def operated(folder: Path, people: People, workers: int = 1, alerts: str = "") -> Iterator[Operated]:
    """Run it until the block ends."""
    users, quotes = (Reporting(operations_pb2.ServiceReport(service=name)) for name in ("users", "quotes"))
    payments = Reporting(operations_pb2.ServiceReport(), HANGS)
    with ExitStack() as stack:
        targets = {
            "USERS": stack.enter_context(serving(users, LoggingIn(people))),
            "QUOTES": stack.enter_context(serving(quotes)),
            "POLICIES": free_address(),
            "PAYMENTS": stack.enter_context(serving(payments)),
        }
        variables = {f"SERVICES__{name}__ADDRESS": target for name, target in targets.items()}
        variables |= {f"SERVICES__{name}__WORKER_METRICS": free_address() for name in targets}
        gateway = running_gateway(
            folder,
            "",
            GATEWAY__DESCRIPTORS="",
            GATEWAY__WORKERS=str(workers),
            GATEWAY__ALERTS_URL=alerts,
            AUTH__INTERNAL_SECRET_FILE=str(people.auth.internal_secret_file),
            **variables,
        )
        yield Operated(stack.enter_context(gateway), users, quotes)


@contextmanager
def serving(reporting: Reporting, auth: LoggingIn | None = None) -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    server = grpc.server(ThreadPoolExecutor(4))
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(reporting, server)
    if auth:
        auth_pb2_grpc.add_AuthServiceServicer_to_server(auth, server)
    server.add_insecure_port(address := free_address())
    server.start()
    yield address
    reporting.ended.set()
    server.stop(0).wait()


@contextmanager
def answering(document: Any, seconds: float = 0) -> Iterator[str]:
    """An HTTP server that answers everything with a document, after a while; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(seconds)
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """The gateway has gone away meanwhile."""

    server = Server(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()
