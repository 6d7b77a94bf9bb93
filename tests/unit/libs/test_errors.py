"""Every error has a kind with a code and a reason that the contract knows, and tells nothing of the inside."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2

import libs
import services
from bazaruto.common.v1 import error_reason_pb2
from gateway.http import problems
from libs.errors import ConcurrentChange, DomainError, FieldInvalid, Refused, ResourceNotFound
from libs.rpc.errors import CODES, RemoteError, code_of, to_status

REASONS = {value.name for value in error_reason_pb2.ErrorReason.DESCRIPTOR.values}


def _states(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for state in kind.__subclasses__():
        yield state
        yield from _states(state)


def _load_everything() -> None:
    for package in (libs, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "migrations" not in module.name:
                importlib.import_module(module.name)


def test_violation_of_a_whole_message_is_told_without_a_field() -> None:
    assert str(FieldInvalid(violations={"": "a name or an email is required"})) == "a name or an email is required"


def test_every_error_state_has_a_reason_of_the_contract() -> None:
    _load_everything()
    kinds = set(CODES)
    for state in _states(DomainError):
        if state not in kinds and state is not RemoteError:
            assert state.reason in REASONS, state
            assert state.reason != "ERROR_REASON_UNSPECIFIED", state
            assert any(kind in state.__mro__ for kind in kinds), state


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f600"])
def test_words_of_the_caller_do_not_make_an_answer_too_long(letter: str) -> None:
    words = letter * 20_000
    refused = Refused(words, question=words)
    wrong = FieldInvalid(violations={f"{number}{words}": words for number in range(100)})
    for error in (refused, wrong):
        status = to_status(error)
        assert len(status.SerializeToString()) < 6000
        assert len(status.message.encode()) <= 500
        assert status.message.endswith("…")


def test_every_reason_of_the_contract_is_raised_somewhere() -> None:
    _load_everything()
    raised = {state.reason for state in _states(DomainError)}
    # Made where no state of the domain is raised: by the chain itself and by the gateway.
    raised |= {"ERROR_REASON_UNSPECIFIED", "INTERNAL_ERROR", "METHOD_UNKNOWN"}
    raised |= {"MEDIA_TYPE_UNSUPPORTED", "REQUEST_TOO_LARGE", "REQUEST_TOO_SLOW"}
    assert raised == REASONS


class Sleeping(Refused):
    """It sleeps."""

    reason = "POLICY_STATE_INVALID"


def test_state_becomes_code_reason_and_metadata() -> None:
    status = to_status(Sleeping(state="asleep"))
    error_info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(error_info)
    assert code_of(status) is grpc.StatusCode.FAILED_PRECONDITION
    assert (error_info.reason, error_info.domain, dict(error_info.metadata)) == (
        "POLICY_STATE_INVALID",
        "bazaruto",
        {"state": "asleep"},
    )
    assert status.message == "It sleeps."


def test_unknown_error_leaves_without_its_text() -> None:
    status = to_status(RuntimeError("password is hunter2"))
    assert code_of(status) is grpc.StatusCode.INTERNAL
    assert b"hunter2" not in status.SerializeToString()


def test_lost_race_is_for_the_client_to_try_again() -> None:
    status = to_status(ConcurrentChange())
    again = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(again) for detail in status.details)
    assert again.retry_delay.ToTimedelta().total_seconds() > 0
    assert problems.CODES[status.code][1] == 409


def test_wrong_fields_are_listed_one_by_one() -> None:
    status = to_status(FieldInvalid(violations={"risk.answers": "is empty", "page_size": "is negative"}))
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("risk.answers", "is empty"),
        ("page_size", "is negative"),
    ]


@pytest.mark.parametrize("kind", list(CODES), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_code(kind: type[DomainError]) -> None:
    assert code_of(to_status(kind("told"))) is CODES[kind]


def test_answer_of_a_neighbour_is_passed_on_as_it_came() -> None:
    status = to_status(ResourceNotFound(resource="quote"))
    assert to_status(RemoteError(status)) == status


def test_as_many_wrong_fields_are_listed_as_there_is_room_for() -> None:
    status = to_status(FieldInvalid(violations={f"rating[{number}].table": "has no row" for number in range(500)}))
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    assert len(bad.field_violations) > 50
    assert bad.ByteSize() <= 3000
