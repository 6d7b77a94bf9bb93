"""A page token leads to the next page of its own list only, and only the platform can make one."""

from __future__ import annotations

import string
import time
from contextvars import ContextVar
from typing import cast
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf import descriptor_pool
from hypothesis import assume, given
from hypothesis import strategies as st

from bazaruto.policies.v1 import policy_pb2 as pb
from libs.rpc import calls, methods, pages
from libs.rpc.calls import Call
from libs.rpc.page_tokens import PageTokenInvalid, PageTokens
from libs.rpc.pages import Page, sequence_number

SECRET = b"s" * 32
SERVICE = "bazaruto.policies.v1.PolicyService"


def enter(secret: bytes = SECRET) -> None:
    """Answer a call to a process that has this secret."""
    method = methods.of_service(descriptor_pool.Default().FindServiceByName(SERVICE))[f"/{SERVICE}/ListPolicies"]
    calls.enter(Call(method, {}, time.monotonic() + 60, cast(grpc.ServicerContext, None), PageTokens(secret)))


@pytest.fixture(autouse=True)
def _call(monkeypatch: pytest.MonkeyPatch) -> None:
    # The call is that of a test alone: the next test of the process answers none.
    monkeypatch.setattr(calls, "_current", ContextVar("call"))
    enter()


def page_of(token: str, *bound_to: object, size: int = 1) -> Page:
    return Page.of(pb.ListPoliciesRequest(page_size=size, page_token=token), *bound_to)


def token_behind(key: object, *bound_to: object) -> str:
    """The token that a list gives when its first item has that key and there is another one."""
    _, token = page_of("", *bound_to).cut([key, "another"], key=str)
    return token


@pytest.mark.parametrize(("asked", "given_size"), [(0, 20), (1, 1), (100, 100), (1_000_000, 100)])
def test_page_size_has_a_default_and_a_cap(asked: int, given_size: int) -> None:
    assert page_of("", "policies", size=asked).size == given_size


@given(st.integers(0, 60), st.integers(1, 20))
def test_pages_together_are_the_whole_list(count: int, size: int) -> None:
    items = [f"{number:03}" for number in range(count)]
    seen: list[str] = []
    token = ""
    while True:
        page = page_of(token, "list", "me", size=size)
        behind = [item for item in items if item > page.after] if page.after else items
        shown, token = page.cut(behind[: page.fetch], key=str)
        seen += shown
        if not token:
            break
    assert seen == items


@given(st.lists(st.booleans(), max_size=400), st.integers(1, 20), st.integers(1, 200))
def test_pages_of_what_no_query_finds_are_full_unless_they_are_the_last(
    matching: list[bool], size: int, most: int
) -> None:
    items, reads, seen, token = dict(enumerate(matching)), [0], list[int](), ""

    def read(after: int | None, limit: int) -> list[int]:
        reads[0] += limit
        return [item for item in items if after is None or item > after][:limit]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "LOOKED_THROUGH", most)
        while True:
            reads[0] = 0
            page = page_of(token, "list", size=size)
            shown, token = page.fill(page.after_as(int), read, items.__getitem__, key=lambda item: item)
            seen += shown
            assert reads[0] <= most
            if not token:
                break
            assert len(shown) == size or reads[0] == most
    assert seen == [item for item, matches in items.items() if matches]


@given(st.text(), st.lists(st.text()))
def test_any_key_comes_back_as_it_was(key: str, bound_to: list[str]) -> None:
    assert page_of(token_behind(key, *bound_to), *bound_to).after == key


@given(st.text(min_size=1) | st.text(f"{string.ascii_letters}{string.digits}-_.=", min_size=1))
def test_arbitrary_token_is_refused(token: str) -> None:
    with pytest.raises(PageTokenInvalid):
        page_of(token, "policies")


@given(st.data())
def test_changed_token_is_refused_or_says_what_was_signed(data: st.DataObject) -> None:
    key = str(uuid4())
    token = token_behind(key, "policies")
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.characters(codec="utf-8")) + token[at + 1 :]
    assume(changed != token)
    try:
        assert page_of(changed, "policies").after == key  # two bits of a signature's last letter mean nothing
    except PageTokenInvalid:
        return


@pytest.mark.parametrize("forged_key", ["99999999999999999999999", "' OR 1=1", "\0", "-1", "é", ""])
def test_token_signed_with_another_secret_is_refused(forged_key: str) -> None:
    enter(b"t" * 32)
    token = token_behind(forged_key, "policies")
    enter()
    with pytest.raises(PageTokenInvalid):
        page_of(token, "policies")


def test_token_is_accepted_by_every_process_with_the_secret() -> None:
    token = token_behind("a", "policies")
    enter(bytes(SECRET))
    assert page_of(token, "policies").after == "a"


@pytest.mark.parametrize(
    "bound_to", [("policies", "bento"), ("quotes", "ana"), ("policies",), ("policies", "ana", ""), ("policiesana",), ()]
)
def test_token_of_another_list_filter_or_caller_is_refused(bound_to: tuple[str, ...]) -> None:
    token = token_behind("a", "policies", "ana")
    with pytest.raises(PageTokenInvalid):
        page_of(token, *bound_to)


@pytest.mark.parametrize("key", [uuid4(), 2**63 - 1, "a" * 50])
def test_token_is_short(key: object) -> None:
    assert len(token_behind(key, "policies", "usr_01jxyz", "motor")) <= 120


@pytest.mark.parametrize("signed", ["' OR 1=1", "\0", "1", "g" * 32])
def test_signed_key_of_another_kind_is_refused(signed: str) -> None:
    with pytest.raises(PageTokenInvalid):
        page_of(token_behind(signed, "policies"), "policies").after_as(UUID)


@pytest.mark.parametrize("signed", ["99999999999999999999999", "2147483648", "-1", "9" * 5000, "1.5", "\0", "x"])
def test_signed_number_that_the_database_cannot_hold_is_refused(signed: str) -> None:
    with pytest.raises(PageTokenInvalid):
        page_of(token_behind(signed, "transactions"), "transactions").after_as(sequence_number)


def test_key_is_read_as_what_it_is() -> None:
    key = uuid4()
    assert page_of(token_behind(key, "policies"), "policies").after_as(UUID) == key
    assert page_of(token_behind(2147483647, "transactions"), "transactions").after_as(sequence_number) == 2147483647
    assert page_of("", "policies").after_as(UUID) is None
