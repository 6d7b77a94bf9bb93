"""A service's server: it owns health, reflection, the chain around every method, and the graceful stop."""

from __future__ import annotations

import gc
import importlib
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2_grpc as health_v1_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH

from bazaruto.operations.v1 import health_pb2_grpc, operations_pb2_grpc
from libs.config import Settings
from libs.db import Database
from libs.identity.secrets import read_secret
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.listening import leave_callers_to_others
from libs.rpc import idempotency, methods
from libs.rpc.audit import AuditServicer, Denials
from libs.rpc.health import Checks, HealthDetailServicer, HealthMonitor, HealthServicer
from libs.rpc.interceptors import Chain
from libs.rpc.operations import OperationsServicer
from libs.rpc.page_tokens import PageTokens
from libs.rpc.streams import Streams
from libs.signals import SignalledEvent

log = structlog.get_logger("rpc")

_IN_FLIGHT = 1000  # calls at the same time; more are refused at once
_GRACE = 20.0  # seconds that calls under way get when the process stops
_OPTIONS = (
    # Copies share the port, and so does the process that takes over. `libs.process` refuses a port of others.
    ("grpc.so_reuseport", 1),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    # Callers find new replicas when connections are renewed from time to time.
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
)


class Server:
    """One process of a service."""

    def __init__(
        self,
        service: str,
        settings: Settings,
        database: Database,
        verifier: TokenVerifier,
    ) -> None:
        self._service = service
        self._settings = settings
        self._database = database
        page_tokens = PageTokens(read_secret(settings.auth.internal_secret_file))
        self._chain = Chain(verifier, page_tokens, idempotency.Keys(database))
        self._streams = Streams()
        self._names: list[str] = []
        self._health = HealthServicer()
        self._server = grpc.server(
            ThreadPoolExecutor(settings.threads, "call"),
            options=_OPTIONS,
            maximum_concurrent_rpcs=_IN_FLIGHT,
        )
        self._checks = Checks(database)
        details = HealthDetailServicer(service, self._checks)
        self.add(health_pb2_grpc.add_HealthDetailServiceServicer_to_server, details)
        self._operations = OperationsServicer(service, database, ServiceTokens(settings.auth, service))
        self.add(operations_pb2_grpc.add_OperationsServiceServicer_to_server, self._operations)

    def add(self, register: Callable[[Any, Any], None], servicer: object) -> None:
        """Serve a servicer; `register` is the generated `add_…Servicer_to_server`."""
        register(servicer, self)

    def keep_audit_log(self, register: Callable[[Any, Any], None]) -> None:
        """Serve the service's audit log, and note in it whom the contract does not admit."""
        # Its messages stand in the common contract, so that nothing else loads its own.
        importlib.import_module(register.__module__.removesuffix("_grpc"))
        self.add(register, AuditServicer(self._database))
        self._chain.denied = Denials(self._database)

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """The generated code registers twice; the other way is the one that is used."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """What generated code calls: put the chain around each method."""
        contract = methods.of_service(descriptor_pool.Default().FindServiceByName(service))
        wrapped = {name: self._wrap(contract[f"/{service}/{name}"], handler) for name, handler in handlers.items()}
        self._server.add_registered_method_handlers(service, wrapped)
        self._names.append(service)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; then let calls under way end."""
        stopping = SignalledEvent()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        monitor = self.start()
        gc.collect()
        gc.freeze()  # what is made by now lives as long as the process; no collection need look at it again
        stopping.wait()
        self.stop(monitor)

    def start(self) -> HealthMonitor:
        """Listen, and begin to check whether there is anything to serve with."""
        listen = self._settings.services[self._service].listen
        health_v1_grpc.add_HealthServicer_to_server(self._health, self._server)
        if self._settings.reflection_on:
            # Imported here: it takes memory that a process in production need not spend.
            from grpc_reflection.v1alpha import reflection

            reflection.enable_server_reflection((*self._names, HEALTH), self._server)
        self._server.add_insecure_port(listen)
        self._database.open()
        self._server.start()
        monitor = HealthMonitor(self._health, self._names, self._checks)
        monitor.start()
        log.info("serving", address=listen)
        return monitor

    def stop(self, monitor: HealthMonitor) -> None:
        """Go away in order: tell health, wait for callers to notice, end what is under way.

        Without a drain nobody is told first. Callers have no other address then, and would fail until the connection
        ends; its end alone sends them to the process that took over.
        """
        if self._settings.drain:
            monitor.stop()
            time.sleep(self._settings.drain.total_seconds())
        leave_callers_to_others(self._settings.services[self._service].listen)
        ended = self._server.stop(_GRACE)
        monitor.stop()
        self._health.end_watches()
        self._operations.stop()
        ended.wait()
        self._streams.pool.shutdown(cancel_futures=True)
        self._database.close()
        log.info("stopped")

    def _wrap(self, method: methods.Method, handler: Any) -> Any:
        # Maps in one order: equal replies are equal bytes, and so is the JSON that the gateway makes of them.
        serialize = partial(handler.response_serializer, deterministic=True)
        if not handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(
                self._chain.unary(method, handler.unary_unary), handler.request_deserializer, serialize
            )
        answer = self._chain.stream(method, self._streams.limited(handler.unary_stream))
        answer.experimental_thread_pool = self._streams.pool  # type: ignore[attr-defined]
        return grpc.unary_stream_rpc_method_handler(answer, handler.request_deserializer, serialize)
