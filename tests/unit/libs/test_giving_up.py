"""Which answers of a neighbour end a job, and which are waited out."""

from __future__ import annotations

import pytest

from libs.errors import AlreadyExists, ConcurrentChange, DomainError, FieldInvalid, Refused, ResourceNotFound
from libs.identity.callers import AccessDenied
from libs.jobs import GiveUp
from libs.rpc import errors, giving_up
from libs.rpc.errors import NeighbourUnavailable, RemoteError


def answered(error: DomainError) -> RemoteError:
    return RemoteError(errors.to_status(error))


@pytest.mark.parametrize("error", [AlreadyExists("a"), Refused("b"), FieldInvalid("c"), ResourceNotFound("d")])
def test_refusal_that_stays_ends_the_job(error: DomainError) -> None:
    with pytest.raises(GiveUp, match=error.reason), giving_up.when_refused():
        raise answered(error)


@pytest.mark.parametrize("error", [answered(AccessDenied()), answered(ConcurrentChange()), NeighbourUnavailable()])
def test_what_may_pass_is_tried_again(error: DomainError) -> None:
    with pytest.raises(type(error)), giving_up.when_refused():
        raise error
