"""Requests that come by gRPC hold nothing that JSON could not have said."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import quote_pb2
from libs.errors import FieldInvalid
from libs.rpc import wellformed


def nested(levels: int) -> Value:
    value = Value(number_value=1)
    for _ in range(levels):
        value = Value(list_value=ListValue(values=[value]))
    return value


def draft(value: Value, key: str = "plate") -> quote_pb2.CreateQuoteRequest:
    request = quote_pb2.CreateQuoteRequest(risk=quote_pb2.Risk(product_code="motor"))
    request.risk.objects.add(object_code="vehicle", fields=Struct(fields={key: value}))
    return request


def at(seconds: int, nanos: int = 0) -> policy_pb2.GetPolicyRequest:
    return policy_pb2.GetPolicyRequest(effective_time=Timestamp(seconds=seconds, nanos=nanos))


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (quote_pb2.ListQuotesRequest(quote_number="Q-\0"), "quote_number"),
        (quote_pb2.DecideReferralRequest(conditions=["a", "\0"]), "conditions[1]"),
        (draft(Value(string_value="\0")), "risk.objects[0].fields"),
        (draft(Value(bool_value=True), key="\0"), "risk.objects[0].fields"),
        (draft(Value()), "risk.objects[0].fields"),
        (draft(Value(number_value=float("nan"))), "risk.objects[0].fields"),
        (draft(Value(number_value=float("-inf"))), "risk.objects[0].fields"),
        (draft(nested(30)), "risk.objects[0].fields"),
        (at(2**62), "effective_time"),
        (at(-(2**62)), "effective_time"),
        (at(1, -1), "effective_time"),
        (at(1, 10**9), "effective_time"),
    ],
)
def test_value_that_cannot_be_kept_is_refused(request_: Message, field: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        wellformed.check(request_)
    assert list(refused.value.violations) == [field]


@pytest.mark.parametrize(
    "request_",
    [
        quote_pb2.ListQuotesRequest(),
        draft(Value(string_value="AA-00-BB")),
        draft(nested(29)),
        draft(Value(struct_value=Struct(fields={"known": Value(bool_value=True)}))),
        at(-62135596800),
        at(253402300799, 999_999_999),
    ],
)
def test_value_that_can_be_kept_is_taken(request_: Message) -> None:
    wellformed.check(request_)
