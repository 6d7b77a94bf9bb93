"""Errors as HTTP sees them (AIP-193). The only place where a gRPC code becomes an HTTP status.

What a service says in `google.rpc.Status` is passed on. What the transport says (an address, a socket error)
is not: such errors get a text of their own, so that no answer tells how the platform is built.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from protobuf import Registry, message_to_json_value

DOMAIN = "bazaruto"
RETRY_SECONDS = 1

# gRPC code → (name, HTTP status, reason when the service gave none)
CODES: dict[int, tuple[str, int, str]] = {
    0: ("OK", 200, ""),
    1: ("CANCELLED", 499, "DEADLINE_TOO_SHORT"),
    2: ("UNKNOWN", 500, "INTERNAL_ERROR"),
    3: ("INVALID_ARGUMENT", 400, "INVALID_FIELD"),
    4: ("DEADLINE_EXCEEDED", 504, "DEADLINE_TOO_SHORT"),
    5: ("NOT_FOUND", 404, "RESOURCE_NOT_FOUND"),
    6: ("ALREADY_EXISTS", 409, "CONCURRENT_CHANGE"),
    7: ("PERMISSION_DENIED", 403, "ACCESS_DENIED"),
    8: ("RESOURCE_EXHAUSTED", 429, "OVERLOADED"),
    9: ("FAILED_PRECONDITION", 400, "CONCURRENT_CHANGE"),
    10: ("ABORTED", 409, "CONCURRENT_CHANGE"),
    11: ("OUT_OF_RANGE", 400, "INVALID_FIELD"),
    12: ("UNIMPLEMENTED", 501, "METHOD_UNKNOWN"),
    13: ("INTERNAL", 500, "INTERNAL_ERROR"),
    14: ("UNAVAILABLE", 503, "DEPENDENCY_UNAVAILABLE"),
    15: ("DATA_LOSS", 500, "INTERNAL_ERROR"),
    16: ("UNAUTHENTICATED", 401, "TOKEN_INVALID"),
}
_CANCELLED, _UNAVAILABLE = 1, 14
_NUMBERS = {name: number for number, (name, _, _) in CODES.items()}

# An error without details comes from the transport: these texts take the place of its own.
_GENERIC = {
    2: "Something failed inside the platform.",
    4: "The deadline of the call passed.",
    8: "The platform has as much work as it can take.",
    12: "The method does not exist.",
    13: "Something failed inside the platform.",
    14: "A part of the platform that the call needs is not reachable now.",
    15: "Something failed inside the platform.",
}
_WAITS = (429, 503)


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """An error that is answered with an AIP-193 body."""

    status: int
    name: str  # the gRPC code's name
    message: str
    details: list[dict[str, Any]] = field(default_factory=list)
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def reason(self) -> str:
        """The `ErrorReason`."""
        return next((str(d.get("reason", "")) for d in self.details if d["@type"] == _type("ErrorInfo")), "")

    def body(self, trace_id: str) -> dict[str, Any]:
        """The JSON body; the trace id is what a caller reports."""
        details = list(self.details)
        if not any(detail["@type"] == _type("RequestInfo") for detail in details):
            details.append({"@type": _type("RequestInfo"), "requestId": trace_id})
        error = {"code": self.status, "status": self.name, "message": self.message, "details": details}
        return {"error": error}

    def encoded(self, trace_id: str) -> bytes:
        """The body as bytes."""
        return json.dumps(self.body(trace_id), ensure_ascii=False, separators=(",", ":")).encode()

    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that the status asks for, besides those that were given."""
        extra = list(self.headers)
        if self.status == 401:
            extra.append((b"www-authenticate", b'Bearer realm="bazaruto"'))
        if self.status in _WAITS:
            extra.append((b"retry-after", b"%d" % self._retry_seconds()))
        return extra

    def _retry_seconds(self) -> int:
        for detail in self.details:
            if detail["@type"] == _type("RetryInfo"):
                seconds = str(detail.get("retryDelay", "1s")).removesuffix("s")
                return max(1, -int(-float(seconds) // 1))
        return RETRY_SECONDS


def made(
    status: int,
    name: str,
    reason: str,
    message: str,
    *details: dict[str, Any],
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Problem:
    """An error of the gateway itself."""
    waits = ({"@type": _type("RetryInfo"), "retryDelay": f"{RETRY_SECONDS}s"},) if status in _WAITS else ()
    return Problem(status, name, message, [_error_info(reason), *details, *waits], headers)


def invalid(violations: list[tuple[str, str]]) -> Problem:
    """400: each wrong field with what is wrong about it."""
    listed = [{"field": path, "description": text} for path, text in violations]
    summary = "; ".join(f"{path} {text}" for path, text in violations[:3])
    bad_request = {"@type": _type("BadRequest"), "fieldViolations": listed}
    return made(400, "INVALID_ARGUMENT", "INVALID_FIELD", f"The request is invalid: {summary}.", bad_request)


def unknown_path() -> Problem:
    """404 for a path that no route has."""
    return made(404, "NOT_FOUND", "METHOD_UNKNOWN", "There is nothing at this path.")


def method_not_allowed(allow: str) -> Problem:
    """405 for a path that other methods have."""
    return made(
        405,
        "UNIMPLEMENTED",
        "METHOD_UNKNOWN",
        f"This path takes {allow}.",
        headers=((b"allow", allow.encode()),),
    )


def not_acceptable(offered: str) -> Problem:
    """406: the caller accepts nothing of what there is."""
    return made(406, "INVALID_ARGUMENT", "MEDIA_TYPE_UNSUPPORTED", f"This answer can be given as {offered} only.")


def unsupported_media(expected: str) -> Problem:
    """415: the body is in a form that is not read."""
    return made(415, "INVALID_ARGUMENT", "MEDIA_TYPE_UNSUPPORTED", f"The body must be {expected}.")


def too_large(limit: int) -> Problem:
    """413: refused before it is read. The connection ends, as the rest of the body is not wanted."""
    return made(
        413,
        "INVALID_ARGUMENT",
        "REQUEST_TOO_LARGE",
        f"The body is larger than {limit} bytes.",
        headers=((b"connection", b"close"),),
    )


def uri_too_long(limit: int) -> Problem:
    """414."""
    return made(414, "INVALID_ARGUMENT", "REQUEST_TOO_LARGE", f"The URL is longer than {limit} bytes.")


def headers_too_large(limit: int) -> Problem:
    """431."""
    return made(431, "INVALID_ARGUMENT", "REQUEST_TOO_LARGE", f"The headers are larger than {limit} bytes.")


def body_too_slow() -> Problem:
    """408: the body did not arrive in time."""
    return made(
        408,
        "DEADLINE_EXCEEDED",
        "REQUEST_TOO_SLOW",
        "The body took too long to arrive.",
        headers=((b"connection", b"close"),),
    )


def body_cut_off() -> Problem:
    """400: the body ended before its end, or its chunks are malformed."""
    return made(
        400,
        "INVALID_ARGUMENT",
        "INVALID_FIELD",
        "The body is malformed or ends too early.",
        headers=((b"connection", b"close"),),
    )


def overloaded() -> Problem:
    """503: this process has as many requests as it can take."""
    return made(503, "UNAVAILABLE", "OVERLOADED", "The platform has as much work as it can take.")


def leaving() -> Problem:
    """503: this process is about to end, and another one answers when the caller comes again."""
    return made(503, "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", "This part of the platform is being replaced; try again.")


def internal() -> Problem:
    """500: something unforeseen; what it was is in the log."""
    return made(500, "INTERNAL", "INTERNAL_ERROR", "Something failed inside the platform.")


def from_status(registry: Registry, code: int, message: str, status_details: bytes | None) -> Problem:
    """The error that a service or the transport answered with."""
    details = _details(registry, status_details)
    if code == _CANCELLED and not details:  # not by the caller: the service was about to leave
        code = _UNAVAILABLE
    name, http_status, reason = CODES.get(code, CODES[2])
    if not details:
        message = _GENERIC.get(code, "The call was refused.")
    if not any(detail["@type"] == _type("ErrorInfo") for detail in details):
        details.insert(0, _error_info(reason))
    if http_status in _WAITS and not any(detail["@type"] == _type("RetryInfo") for detail in details):
        details.append({"@type": _type("RetryInfo"), "retryDelay": f"{RETRY_SECONDS}s"})
    return Problem(http_status, name, message, details)


def _details(registry: Registry, raw: bytes | None) -> list[dict[str, Any]]:
    """The details that can be rendered. One that cannot is left out alone."""
    kind = registry.message("google.rpc.Status")
    if not raw or kind is None:
        return []
    try:
        status: Any = kind.type.from_binary(raw)
    except ValueError:
        return []
    details = []
    for packed in status.details:
        try:
            value = message_to_json_value(packed, registry=registry)
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(value, dict):
            details.append(dict(value))
    return details


def _error_info(reason: str) -> dict[str, Any]:
    return {"@type": _type("ErrorInfo"), "reason": reason, "domain": DOMAIN, "metadata": {}}


def _type(name: str) -> str:
    return f"type.googleapis.com/google.rpc.{name}"
