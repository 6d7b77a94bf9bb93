"""The one table from kinds of errors to gRPC codes, and back from a neighbour's answer to an error.

An answer carries `google.rpc.Status`: `ErrorInfo` always, `BadRequest` for fields, `RetryInfo` where repeating
helps, and `RequestInfo` with the trace id. What is not a domain error leaves as INTERNAL without its text. Words of
the caller in it are cut short: an answer that outgrows what a client takes would come as another error.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from libs import errors
from libs.telemetry.traces import current_trace_id

DOMAIN = "bazaruto"
STATUS_DETAILS = "grpc-status-details-bin"

CODES: dict[type[errors.DomainError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.Exhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TooLate: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
}
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}
_RETRY_AFTER = {
    grpc.StatusCode.UNAVAILABLE: 1,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 1,
    grpc.StatusCode.ABORTED: 0.1,
}  # seconds


# Bytes. All of them together, and once more as text beside, stay below the 8 KiB that any client takes.
_MESSAGE = 500
_VALUE = 200
_FIELDS = 3000


class RemoteError(errors.DomainError):
    """A neighbour refused; its answer is passed on as it came."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status
        error_info = error_details_pb2.ErrorInfo()
        for detail in status.details:
            if detail.Unpack(error_info):
                break
        self.remote_reason = error_info.reason
        self.metadata = dict(error_info.metadata)


class NeighbourUnavailable(errors.Unavailable):
    """Another service of the platform does not answer."""

    reason = "DEPENDENCY_UNAVAILABLE"


def to_status(error: BaseException) -> status_pb2.Status:
    """The answer to an error."""
    if isinstance(error, RemoteError):
        return error.status
    if not isinstance(error, errors.DomainError):
        return _status(grpc.StatusCode.INTERNAL, "something failed inside the platform", "INTERNAL_ERROR", {})
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    details: list[Any] = []
    if isinstance(error, errors.FieldInvalid) and error.violations:
        bad = error_details_pb2.BadRequest()
        for path, text in error.violations.items():
            bad.field_violations.add(field=_cut(path, _VALUE), description=_cut(text, _VALUE))
            if bad.ByteSize() > _FIELDS:
                del bad.field_violations[-1]
                break
        details.append(bad)
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        failure = error_details_pb2.PreconditionFailure()
        failure.violations.add(type=error.reason, description=_cut(error.message, _MESSAGE))
        details.append(failure)
    if code in _RETRY_AFTER:
        seconds = getattr(error, "retry_after", 0) or _RETRY_AFTER[code]
        delay = duration_pb2.Duration(seconds=int(seconds), nanos=int(seconds * 1e9) % 1_000_000_000)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    about = {name: _cut(value, _VALUE) for name, value in error.metadata.items()}
    return _status(code, _cut(error.message, _MESSAGE), error.reason, about, *details)


def _cut(text: str, most: int) -> str:
    """The beginning of a text, as many bytes as it may have at most."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    """The code of a status as the library names it."""
    return _BY_NUMBER[status.code]


def from_rpc(call: grpc.Call) -> errors.DomainError:
    """What a failed call to a neighbour means here.

    An answer with a reason is passed on; silence, overload and broken connections become `NeighbourUnavailable`.
    """
    for key, value in call.trailing_metadata() or ():
        if key == STATUS_DETAILS and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            if code_of(status) not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE):
                return RemoteError(status)
    return NeighbourUnavailable()


def _status(
    code: grpc.StatusCode, message: str, reason: str, metadata: dict[str, str], *details: Any
) -> status_pb2.Status:
    error_info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    request = error_details_pb2.RequestInfo(request_id=current_trace_id())
    packed = []
    for detail in (error_info, *details, request):
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=code.value[0], message=message, details=packed)
