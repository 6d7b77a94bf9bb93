"""The key of a call whose effect is a neighbour's: made of who calls what, so that nobody else makes the same one."""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from typing import cast
from uuid import UUID

import grpc
import pytest

from bazaruto.options.v1 import options_pb2
from bazaruto.policies.v1 import policy_pb2
from libs.identity.callers import Caller
from libs.rpc import calls, idempotency
from libs.rpc.calls import Call
from libs.rpc.methods import ContractError, Method, of_service
from libs.rpc.page_tokens import PageTokens

SERVICE = policy_pb2.DESCRIPTOR.services_by_name["PolicyService"]
ISSUE = of_service(SERVICE)["/bazaruto.policies.v1.PolicyService/IssuePolicy"]
FORWARDING = replace(ISSUE, idempotency=options_pb2.IDEMPOTENCY_FORWARDED)
ANA, BEN = Caller(UUID(int=1)), Caller(UUID(int=2))


def key_of(method: Method, caller: Caller, key: str) -> str:
    def ask() -> str:
        nowhere = cast(grpc.ServicerContext, None)
        calls.enter(Call(method, {"idempotency-key": key}, 0.0, nowhere, PageTokens(b"secret"), caller))
        ((name, value),) = idempotency.forwarded()
        assert name == "idempotency-key"
        return value

    return copy_context().run(ask)


def test_forwarded_key_is_the_same_each_time_and_tells_nothing_of_the_callers_key() -> None:
    first = key_of(FORWARDING, ANA, "k" * 20)
    assert first == key_of(FORWARDING, ANA, "k" * 20)
    assert len(first) == 64
    assert "k" * 20 not in first


def test_nobody_else_and_no_other_method_makes_the_same_key() -> None:
    other = replace(FORWARDING, path="/bazaruto.policies.v1.PolicyService/Other")
    keys = {
        key_of(FORWARDING, ANA, "k" * 20),
        key_of(FORWARDING, BEN, "k" * 20),
        key_of(FORWARDING, ANA, "l" * 20),
        key_of(other, ANA, "k" * 20),
    }
    assert len(keys) == 4


def test_only_a_method_that_declares_it_forwards_its_key() -> None:
    with pytest.raises(ContractError):
        key_of(ISSUE, ANA, "k" * 20)
