"""Conditional requests: which tags match, and what a service is told of them."""

from __future__ import annotations

import pytest

from gateway.http import conditional


@pytest.mark.parametrize(
    ("seen", "fresh"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("a", False), ("", False)],
)
def test_if_none_match_compares_weakly(seen: str, fresh: bool) -> None:
    assert conditional.is_fresh(seen, '"a"') is fresh


def test_a_weak_tag_matches_itself_and_its_strong_twin() -> None:
    assert conditional.is_fresh('W/"a"', 'W/"a"')
    assert conditional.is_fresh('"a"', 'W/"a"')


@pytest.mark.parametrize(
    ("header", "passed"), [('"a"', "a"), ('"a", "b"', "a,b"), ("*", "*"), ("bare", "bare"), ('W/"a"', "a")]
)
def test_if_match_is_passed_on_without_its_quotes(header: str, passed: str) -> None:
    assert conditional.if_match(header) == passed
