"""What goes along with a call: its deadline, metadata by allow-list, both ways, and the error that it ends in."""

from __future__ import annotations

import re
from collections.abc import Iterable

import grpc.aio
from protobuf import Registry

from gateway.http import conditional, problems
from gateway.http.exchange import Headers, Request
from gateway.http.problems import Problem

Metadata = tuple[tuple[str, str], ...]

_PASSED_ON = ("authorization", "idempotency-key", "accept-language", "tracestate")
_PASSED_BACK = {
    "idempotency-replayed": b"idempotency-replayed",
    "content-language": b"content-language",
}
_MAX_METADATA = 7 << 10  # bytes; services refuse more than 8 KiB
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_STATUS = "grpc-status-details-bin"
_SECONDS = re.compile(r"[0-9]{1,8}(\.[0-9]{1,9})?")


def seconds(request: Request, most: float) -> float:
    """The deadline of a call: what the caller asks for, but never more than the route may take."""
    headers = request.headers
    if "grpc-timeout" in headers:
        timeout = _GRPC_TIMEOUT.fullmatch(headers["grpc-timeout"])
        if not timeout:
            raise problems.invalid([("grpc-timeout", "is not a number and a unit, such as 500m")])
        return min(most, int(timeout.group(1)) * _UNITS[timeout.group(2)])
    if "request-timeout" in headers:
        if not _SECONDS.fullmatch(headers["request-timeout"]):
            raise problems.invalid([("request-timeout", "is not a number of seconds, such as 1.5")])
        return min(most, float(headers["request-timeout"]))
    return most


def sent(request: Request, traceparent: str, request_id: str, client: str, proof: str = "") -> Metadata:
    """What a service is told about the request. Anything that is not named here stays outside.

    `proof` is the gateway's own token: by it a service knows whose word the client's address is.
    """
    headers = request.headers
    pairs = [("traceparent", traceparent), ("x-request-id", request_id), ("x-forwarded-for", client)]
    pairs += [(name, request.visible(name)) for name in _PASSED_ON if name in headers]
    if "if-match" in headers:
        pairs.append(("if-match", conditional.if_match(request.visible("if-match"))))
    if sum(len(name) + len(value) + 32 for name, value in pairs) > _MAX_METADATA:
        raise problems.headers_too_large(_MAX_METADATA)
    if proof:
        pairs.append(("x-forwarded-by", proof))
    return tuple(pairs)


def headers_back(initial: Iterable[tuple[str, str | bytes]] | None) -> Headers:
    """The part of a reply's metadata that callers may see."""
    headers: Headers = []
    for name, value in initial or ():
        known = _PASSED_BACK.get(name)
        if known is not None:
            headers.append((known, value if isinstance(value, bytes) else value.encode("latin-1", "replace")))
    return headers


def problem(registry: Registry, error: grpc.aio.AioRpcError) -> Problem:
    """The error that a call ended in."""
    details = next((value for key, value in error.trailing_metadata() or () if key == _STATUS), None)
    raw = details if isinstance(details, bytes) else None
    return problems.from_status(registry, error.code().value[0], error.details() or "", raw)
