"""What docs/partners.md tells partners is in the contracts, is theirs to call, and goes in the order of the example."""

from __future__ import annotations

import re

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from bazaruto.common.v1.error_reason_pb2 import ErrorReason
from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import quote_pb2
from tests.support import guide
from tests.support.access import access_of, all_methods

GUIDE = (guide.DOCS / "partners.md").read_text()
METHODS = {method.name: method for method in all_methods()}


def _route(method: MethodDescriptor) -> tuple[str, str]:
    """The verb and the path of a method; two empty ones of an internal method."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    pattern = rule.WhichOneof("pattern") or ""
    return pattern.upper(), getattr(rule, pattern) if pattern else ""


def _section(name: str) -> str:
    return GUIDE.partition(f"## {name}\n")[2].partition("\n## ")[0]


def test_calls_are_routes_that_show_partners_what_came_through_them() -> None:
    routes = {_route(method): method for method in all_methods()}
    named = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`]+)`", GUIDE)
    assert len(named) > 10
    assert [route for route in named if route not in routes or not access_of(routes[route]).partner] == []


def test_each_call_of_a_table_is_that_of_its_rpc() -> None:
    rows = re.findall(r"^\| \d \| `(\w+) (/\S+)` \| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert len(rows) == 10
    assert [row for row in rows if _route(METHODS[row[2]]) != row[:2]] == []


def test_states_flags_and_reasons_are_in_the_contracts() -> None:
    known = {*ErrorReason.keys(), *policy_pb2.Policy.Flag.keys(), *quote_pb2.Quote.State.keys()}
    words = set(re.findall(r"`(?:\w+=)?([A-Z][A-Z_]{5,})`", GUIDE))
    assert len(words) > 10
    assert words <= known


def test_endorsing_and_cancelling_go_as_the_example_does() -> None:
    example = (guide.DOCS / "examples" / "service_policy.py").read_text()
    done = re.findall(r"\b(?:quotes|policies)\.([A-Z]\w+)\(", example.partition("WatchPolicy(")[2])
    described = re.findall(r"^\| \d .*? \| `(\w+)` \|", _section("Endorsing") + _section("Cancelling"), re.MULTILINE)
    assert done == described
