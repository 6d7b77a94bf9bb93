"""A service of the sample contract on a free port, and the real gateway process in front of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health
from grpc_health.v1 import health_pb2 as grpc_health_pb2
from grpc_health.v1 import health_pb2_grpc as grpc_health_pb2_grpc

from bazaruto.operations.v1 import health_pb2, health_pb2_grpc
from bazarutod.ports import free_port
from tests.support.servers import free_address
from tests.unit.gateway import gateway_sample as sample

ROOT = Path(__file__).parents[3]
SERVICES = ("users", "quotes", "policies", "payments")
PACKAGE = "bazaruto.quotes.test"


@dataclass
class Library:
    """The service: what it does depends on the id of the book that is asked for."""

    calls: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    pending_jobs: int = 3
    database_error: str = ""
    hangs: threading.Event = field(default_factory=threading.Event)  # while set, health is not told

    def book(self, **fields: Any) -> Any:
        return sample.kind("Book").type(**fields)

    def answer(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        metadata = dict(context.invocation_metadata())
        self.calls.append((name, request, metadata))
        book_id = getattr(request, "book_id", "") or "b1"
        if name in ("SearchBooks", "ListTitles"):
            reply = sample.kind("SearchResponse").type
            return reply(asked=request, titles=["Ulysses", "Dubliners"])
        if name == "CreateBook":
            return request
        if name == "UpdateBook":
            labels = {"mask": ",".join(request.update_mask.paths) if request.update_mask else ""}
            if metadata.get("if-match", "v1") not in ("v1", "*"):
                _abort(context, grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE")
            return self.book(book_id=request.book.book_id, title=request.book.title, labels=labels)
        if name == "DeleteBook":
            return sample.registry().message("google.protobuf.Empty").type()  # type: ignore[union-attr]
        if name == "DownloadBook":
            body = sample.registry().message("google.api.HttpBody").type  # type: ignore[union-attr]
            return body(content_type="application/pdf", data=b"%PDF-" + bytes(2000))
        if name == "UploadBook":
            content = request.content
            return self.book(title=content.content_type, cover=content.data)
        return self._get(book_id, metadata, context)

    def _get(self, book_id: str, metadata: dict[str, Any], context: grpc.ServicerContext) -> Any:
        if book_id == "metadata":
            context.send_initial_metadata(
                (("idempotency-replayed", "true"), ("x-secret", "inside"), ("content-language", "pt"))
            )
            labels = {key: value for key, value in metadata.items() if isinstance(value, str)}
            labels["deadline"] = f"{context.time_remaining():.3f}"
            return self.book(book_id=book_id, labels=labels)
        if book_id == "slow":
            self._tell_of_the_end(context)
            while context.is_active() and not self.go_on.wait(0.05):
                pass
        if book_id == "large":
            return self.book(book_id=book_id, title="long " * 2000)
        if book_id == "tagged":
            return self.book(book_id=book_id, etag="v1")
        if book_id == "crash":
            raise RuntimeError("secret of the inside")
        if book_id in CODES:
            _abort(context, CODES[book_id], book_id.upper())
        return self.book(book_id=book_id, title="Ulysses")

    def stream(self, name: str, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self.calls.append((name, request, dict(context.invocation_metadata())))
        if name == "DownloadPieces":
            body = sample.registry().message("google.api.HttpBody").type  # type: ignore[union-attr]
            yield body(content_type="text/plain", data=b"one ")
            yield body(content_type="text/plain", data=b"two")
            return
        if request.book_id in CODES:
            _abort(context, CODES[request.book_id], request.book_id.upper())
        if request.book_id == "endless":
            self._tell_of_the_end(context)  # before the first message: with it the call may end, and this with the call
        yield self.book(book_id=request.book_id, title="first")
        if request.book_id == "endless":
            while context.is_active() and not self.go_on.wait(0.05):
                pass
            return
        if request.book_id == "unreadable":
            unknown = sample.registry().message("google.protobuf.Any").type  # type: ignore[union-attr]
            yield self.book(attachment=unknown(type_url="type.googleapis.com/not.Known", value=b"x"))
        yield self.book(book_id=request.book_id, title="second")
        if request.book_id == "breaks":
            _abort(context, grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")

    def _tell_of_the_end(self, context: grpc.ServicerContext) -> None:
        """Set `cancelled` when the call ends, or now where it has ended: a caller may go with the first message."""
        if not context.add_callback(self.cancelled.set):
            self.cancelled.set()

    def handlers(self) -> grpc.GenericRpcHandler:
        """All methods of the sample, without generated code."""
        service = sample.registry().service(f"{PACKAGE}.LibraryService")
        assert service is not None
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for rpc in service.methods:
            reads = rpc.input.type.from_binary
            make: Any = grpc.unary_unary_rpc_method_handler
            serve: Callable[..., Any] = self.answer
            if rpc.method_kind == "server_streaming":
                make, serve = grpc.unary_stream_rpc_method_handler, self.stream
            made[rpc.name] = make(
                lambda request, context, serve=serve, name=rpc.name: serve(name, request, context),
                request_deserializer=reads,
                response_serializer=lambda message: message.to_binary(),
            )
        return grpc.method_handlers_generic_handler(f"{PACKAGE}.LibraryService", made)


CODES = {
    "missing": grpc.StatusCode.NOT_FOUND,
    "denied": grpc.StatusCode.PERMISSION_DENIED,
    "anonymous": grpc.StatusCode.UNAUTHENTICATED,
    "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, reason: str) -> None:
    error_info = error_details_pb2.ErrorInfo(reason=reason, domain="bazaruto", metadata={"resource": "book"})
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=7))
    status = status_pb2.Status(code=code.value[0], message=f"no: {reason}")
    status.details.add().Pack(error_info)
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/not.Known", value=b"x"))
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        status.details.add().Pack(retry)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(code, status.message)


class _HealthDetail(health_pb2_grpc.HealthDetailServiceServicer):
    def __init__(self, library: Library) -> None:
        self._library = library

    def GetHealthDetail(self, request: Any, context: grpc.ServicerContext) -> health_pb2.HealthDetail:
        while context.is_active() and self._library.hangs.is_set():
            time.sleep(0.05)
        error = self._library.database_error
        detail = health_pb2.HealthDetail(
            healthy=not error, database_error=error, pending_jobs=self._library.pending_jobs
        )
        detail.database_response_time.FromMilliseconds(2)
        detail.failed_jobs = 1
        return detail


@dataclass
class Service:
    """The service and where it listens."""

    library: Library
    target: str
    health: health.HealthServicer


@contextmanager
def running_service() -> Iterator[Service]:
    """Serve the sample contract until the block ends."""
    library = Library()
    server = grpc.server(ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((library.handlers(),))
    health_pb2_grpc.add_HealthDetailServiceServicer_to_server(_HealthDetail(library), server)
    checks = health.HealthServicer()
    checks.set("", grpc_health_pb2.HealthCheckResponse.SERVING)
    grpc_health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    server.add_insecure_port(address := free_address())
    server.start()
    yield Service(library, address, checks)
    library.go_on.set()
    server.stop(0).wait()


@dataclass
class RunningGateway:
    """The gateway process."""

    process: subprocess.Popen[bytes]
    host: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client that reads no proxy settings."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=60, **options)

    def raw(self, raw_request: bytes, *, wait: float = 60.0, ends: bytes = b"") -> bytes:
        """Send bytes as they are; read until the gateway closes, has sent `ends`, or is silent for `wait` seconds."""
        with socket.create_connection((self.host, self.port), timeout=wait) as connection:
            connection.sendall(raw_request)
            received = b""
            try:
                while part := connection.recv(65536):
                    received += part
                    if ends and ends in received:
                        break
            except (TimeoutError, ConnectionResetError):
                pass
            return received


@contextmanager
def running_gateway(folder: Path, target: str, **extra: str) -> Iterator[RunningGateway]:
    """Run `python -m gateway.main serve` in front of `target` until the block ends."""
    descriptors = folder / "sample.binpb"
    descriptors.write_bytes(sample.sample_set())
    secret = folder / "secret"
    secret.write_text("s" * 40)
    port = free_port()
    keys = {
        "ENVIRONMENT": "test",
        "GATEWAY__LISTEN": f"127.0.0.1:{port}",
        "GATEWAY__DESCRIPTORS": str(descriptors),
        "AUTH__INTERNAL_SECRET_FILE": str(secret),
        **{f"SERVICES__{name.upper()}__ADDRESS": target for name in SERVICES},
        **extra,
    }
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BAZARUTO_")}
    environment |= {f"BAZARUTO_{key}": value for key, value in keys.items()}
    log = folder / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.main", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    gateway = RunningGateway(process, "127.0.0.1", port, log)
    try:
        _wait_until_alive(gateway)
        yield gateway
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_alive(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        for _ in range(1200):
            if gateway.process.poll() is not None:
                break
            try:
                if client.get("/livez").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{gateway.log.read_text()}")
