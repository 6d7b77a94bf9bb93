"""Calling a neighbour: one channel each, with retries, deadlines, trace and identity taken care of."""

from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from opentelemetry.trace import SpanKind, StatusCode

from bazaruto.options.v1 import options_pb2
from libs.identity.service_tokens import ServiceTokens
from libs.rpc import calls, connection, errors
from libs.rpc.interceptors import ON_BEHALF_OF, DeadlineTooShort
from libs.telemetry import metrics, traces

_KEPT_BACK = 0.1  # of the time that is left: for this service's own answer, or for what it does with the neighbour's
_MOST_KEPT_BACK = 0.5  # seconds
_DEFAULT_SECONDS = 5.0


def connect(target: str, tokens: ServiceTokens) -> grpc.Channel:
    """A channel to a neighbour. It connects when it is first used.

    A call made while answering a user's call carries that user's token; any other call carries this service's. A method
    for services alone is shown both then: the service's, and beside it that of the user.
    A failed call raises the neighbour's own error, or `NeighbourUnavailable`.
    """
    return grpc.intercept_channel(grpc.insecure_channel(target, connection.options([{}])), _Outgoing(tokens))


_Details = namedtuple("_Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"))


class _CallDetails(_Details, grpc.ClientCallDetails):
    """What is about to be called, and how."""


class _Outgoing(grpc.UnaryUnaryClientInterceptor):
    """Adds deadline, identity and trace to a call, and turns its failure into an error of the platform."""

    def __init__(self, tokens: ServiceTokens) -> None:
        self._tokens = tokens

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        name = details.method.removeprefix("/")
        with traces.tracer.start_as_current_span(
            name,
            kind=SpanKind.CLIENT,
            attributes={"rpc.system.name": "grpc", "rpc.method": name},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            metadata = [*(details.metadata or ()), *traces.inject().items(), *self._identity(details.method)]
            outgoing = _CallDetails(
                details.method,
                _seconds(details.timeout),
                metadata,
                details.credentials,
                details.wait_for_ready,
                details.compression,
            )
            started = time.perf_counter()
            call = continuation(outgoing, request)
            code = call.code()
            metrics.rpc_client_duration.labels(name, code.name).observe(time.perf_counter() - started)
            if code is not grpc.StatusCode.OK:
                span.set_status(StatusCode.ERROR, code.name)
                raise errors.from_rpc(call)
            return call

    def _identity(self, path: str) -> list[tuple[str, str]]:
        """Who calls: what the neighbour may show is decided by the user, where there is one."""
        user = calls.caller().authorization if calls.caller().user_id else ""
        if not user:
            return [("authorization", self._tokens.header())]
        if not _is_for_services(path):
            return [("authorization", user)]
        return [("authorization", self._tokens.header()), (ON_BEHALF_OF, user)]


@cache
def _is_for_services(path: str) -> bool:
    """Whether only services may call the method."""
    service, _, name = path.removeprefix("/").partition("/")
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return bool(method.GetOptions().Extensions[options_pb2.access].audience == options_pb2.AUDIENCE_INTERNAL)


def _seconds(timeout: float | None) -> float:
    """The time that a call gets: what was asked for, but less than the call that leads to it has left.

    A neighbour that hangs is given up so early that the caller still gets an answer that says so.
    """
    left = calls.seconds_left()
    seconds = timeout or _DEFAULT_SECONDS
    if left is None:
        return seconds
    if left <= 0:
        raise DeadlineTooShort
    return min(seconds, left - min(left * _KEPT_BACK, _MOST_KEPT_BACK))
