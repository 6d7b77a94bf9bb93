"""A page token leads to the next page of its own list only."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bazaruto.policies.v1 import policy_pb2 as pb
from libs.rpc.pages import Page, PageTokenInvalid


@pytest.mark.parametrize(("asked", "given_size"), [(0, 20), (1, 1), (100, 100), (1_000_000, 100)])
def test_page_size_has_a_default_and_a_cap(asked: int, given_size: int) -> None:
    assert Page.of(pb.ListPoliciesRequest(page_size=asked), "policies").size == given_size


@given(st.integers(0, 60), st.integers(1, 20))
def test_pages_together_are_the_whole_list(count: int, size: int) -> None:
    items = [f"{number:03}" for number in range(count)]
    seen: list[str] = []
    token = ""
    while True:
        page = Page.of(pb.ListPoliciesRequest(page_size=size, page_token=token), "list", "me")
        behind = [item for item in items if item > page.after] if page.after else items
        shown, token = page.cut(behind[: page.fetch], key=str)
        seen += shown
        if not token:
            break
    assert seen == items


@pytest.mark.parametrize("token", ["x", "W10", "bm90IGpzb24", "eyJhIjoxfQ", "é"])
def test_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid):
        Page.of(pb.ListPoliciesRequest(page_token=token), "policies")


def test_token_of_another_caller_is_refused() -> None:
    page = Page.of(pb.ListPoliciesRequest(page_size=1), "policies", "ana")
    _, token = page.cut(["a", "b"], key=str)
    with pytest.raises(PageTokenInvalid):
        Page.of(pb.ListPoliciesRequest(page_token=token), "policies", "bento")


def test_forged_key_is_refused() -> None:
    page = Page.of(pb.ListPoliciesRequest(page_size=1), "policies")
    _, token = page.cut(["' OR 1=1", "b"], key=str)
    forged = Page.of(pb.ListPoliciesRequest(page_token=token), "policies")
    with pytest.raises(PageTokenInvalid):
        forged.after_as(UUID)
    assert page.after_as(UUID) is None
