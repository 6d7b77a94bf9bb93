"""What an error says to the machine that gets it."""

from __future__ import annotations

from typing import Any

from google.rpc import error_details_pb2, status_pb2


def status_of(error: Any) -> status_pb2.Status:
    """The `google.rpc.Status` that an RPC error carries."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    raise AssertionError(f"the error carries no details: {error}")


def reason_of(error: Any) -> str:
    """The `ErrorReason` of an RPC error."""
    return str(_info_of(error).reason)


def metadata_of(error: Any) -> dict[str, str]:
    """What an RPC error is about."""
    return dict(_info_of(error).metadata)


def _info_of(error: Any) -> error_details_pb2.ErrorInfo:
    error_info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(error_info) for detail in status_of(error).details)
    return error_info


def violations_of(error: Any) -> dict[str, str]:
    """The fields that an RPC error complains about, and why."""
    bad = error_details_pb2.BadRequest()
    for detail in status_of(error).details:
        if detail.Unpack(bad):
            return {violation.field: violation.description for violation in bad.field_violations}
    return {}
