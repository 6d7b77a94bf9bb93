"""What a method may take, as its contract says or by its kind: the deadline of a call and the largest HTTP body.

The gateway and the services read the same options here, so that neither gives a call more time than the other.
"""

from __future__ import annotations

from dataclasses import dataclass

READ_SECONDS = 2.0
WRITE_SECONDS = 5.0
STREAM_SECONDS = 60.0
MAX_SECONDS = 30.0  # of a call that answers once
BODY_BYTES = 64 << 10
MAX_BODY_BYTES = 1 << 20


class LimitInvalid(ValueError):
    """Options of a method contradict each other or its route; the message names the option."""


@dataclass(frozen=True, slots=True)
class MethodLimits:
    """The limits of one method."""

    seconds: float
    """The most that a call may take, and what it gets when its caller asks for nothing."""
    body_bytes: int
    """The largest body over HTTP."""
    if_match: bool
    """Whether `If-Match` is honoured."""


def of_method(
    *,
    reads: bool,
    streams: bool,
    has_body: bool,
    deadline: float | None,
    max_body_bytes: int | None,
    if_match: bool,
) -> MethodLimits:
    """The limits of a method that reads (its route is a GET), answers with a stream, or has a body over HTTP.

    `deadline` and `max_body_bytes` are what it declares, or None. `LimitInvalid` says what it cannot declare.
    """
    if deadline is not None and deadline <= 0:
        raise LimitInvalid("option deadline is not more than zero")
    if deadline is not None and deadline > MAX_SECONDS and not streams:
        raise LimitInvalid(f"option deadline is more than {MAX_SECONDS:.0f} s, and the method answers with no stream")
    if max_body_bytes is not None and not has_body:
        raise LimitInvalid("option max_body_bytes is for a route with a body")
    if max_body_bytes is not None and not 0 < max_body_bytes <= MAX_BODY_BYTES:
        raise LimitInvalid(f"option max_body_bytes is not between 1 and {MAX_BODY_BYTES}")
    if if_match and (reads or streams):
        raise LimitInvalid("option if_match is for a change, and the method is a GET or answers with a stream")
    by_kind = STREAM_SECONDS if streams else READ_SECONDS if reads else WRITE_SECONDS
    return MethodLimits(
        by_kind if deadline is None else deadline,
        BODY_BYTES if max_body_bytes is None else max_body_bytes,
        if_match,
    )
