"""What a job does with the answer of a neighbour that will be the same tomorrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from libs.jobs import GiveUp
from libs.rpc.errors import RemoteError, code_of

# Silence and overload pass, and people mend a wrong secret or a missing right: those are not here.
_FINAL: Final = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
)


@contextmanager
def when_refused() -> Iterator[None]:
    """`GiveUp` where a neighbour refuses for good, so that a person looks; any other failure goes on as it is."""
    try:
        yield
    except RemoteError as error:
        if code_of(error.status) not in _FINAL:
            raise
        raise GiveUp(f"refused with {error.remote_reason}: {error}") from error
