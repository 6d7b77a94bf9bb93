"""Answers of two commits: what both know is compared, what one of them does not know is left out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.performance.answers import differences

BEFORE = {
    "policyId": "pol_1",
    "term": {"number": 1, "segments": [{"premium": {"units": "5"}, "startDate": {"day": 1}}]},
}
NOW = {
    "policyId": "pol_2",
    "term": {"number": 1, "segments": [{"net": {"units": "5"}, "startDate": {"day": 30}, "lines": [{"amount": {}}]}]},
    "objects": [],
}


def test_fields_that_one_commit_does_not_know_are_left_out() -> None:
    assert differences(NOW, BEFORE) == differences(BEFORE, NOW) == []


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"policyId": 7}, "policyId is 'pol_2' against 7"),
        ({"term": {"number": None}}, "term.number is 1 against None"),
        ({"term": {"segments": []}}, "term.segments has 1 against 0"),
        ({"term": {"segments": [{"startDate": "2026-11-30"}]}}, "term.segments[0].startDate is {'day': 30} against"),
        ({"error": {"code": 404}}, "the answer has no field in common"),
    ],
)
def test_what_both_know_is_compared(changed: dict[str, Any], found: str) -> None:
    (difference,) = differences(NOW, changed)
    assert difference.startswith(found)
