"""Requests that come by gRPC hold nothing that JSON could not have said."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import quote_pb2
from bazaruto.users.v1 import customer_pb2
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


NAMES = [
    "Ana",
    "José María",
    "李小龍",
    "نرگس\u200cخانم",
    "क्\u200dष",
    "<b>Ana</b>",
    "O'Brien-Smith, Jr.",
    "😀 & Sons",
    "",
]
HIDDEN = [
    "Ana\nSitoe", "Ana\t", "Ana\x1b[31m", "Ana\u2028", "Ana\u0085", "\u202eana", "A\u2066na", "An\u200ba", "Ana\ufeff",
    "A\u00adna", "Ana\u200f", "A\U000e0041na", "   ", "\u3164", "\u2800\u3000", "\u200d",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_line_takes_what_people_are_called(name: str) -> None:
    wellformed.check(customer_pb2.CreateCustomerRequest(customer=customer_pb2.Customer(name=name)))


@pytest.mark.parametrize("name", HIDDEN)
def test_line_takes_nothing_that_others_do_not_see(name: str) -> None:
    address = customer_pb2.Address(lines=["1", name])
    with pytest.raises(FieldInvalid) as refusal:
        wellformed.check(customer_pb2.CreateCustomerRequest(customer=customer_pb2.Customer(address=address)))
    assert list(refusal.value.violations) == ["customer.address.lines[1]"]


def test_note_takes_lines_and_nothing_hidden() -> None:
    wellformed.check(quote_pb2.DecideReferralRequest(note="One.\r\n\tTwo."))
    with pytest.raises(FieldInvalid):
        wellformed.check(quote_pb2.DecideReferralRequest(note="One.\n\u202eTwo."))
