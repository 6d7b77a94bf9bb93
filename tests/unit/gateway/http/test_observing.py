"""Whom the log of requests names."""

from __future__ import annotations

import base64

import pytest
from structlog.testing import capture_logs

from gateway.http.observing import Observer, Watch, subject
from tests.unit.gateway.http_request import request

TOKEN = "a.eyJzdWIiOiJ1c3JfMSJ9.c"


@pytest.mark.parametrize(
    ("token", "user"),
    [
        (f"Bearer {TOKEN}", "usr_1"),
        ("Bearer a.b.c", ""),
        ("x", ""),
        (f"Bearer a.{base64.b64encode(b'[' * 2000).decode()}.c", ""),
    ],
)
def test_the_log_names_whom_a_token_is_about(token: str, user: str) -> None:
    assert subject(token) == user


@pytest.mark.parametrize(("checked", "status", "named"), [(True, 200, True), (True, 401, False), (False, 200, False)])
def test_the_log_names_nobody_whose_token_was_not_checked(checked: bool, status: int, named: bool) -> None:
    watch = Watch(request(("authorization", f"Bearer {TOKEN}")), "/v1/books/{book_id}", token_checked=checked)
    with capture_logs() as lines:
        Observer().end(watch, status)
    assert [line.get("user_id") for line in lines] == ["usr_1" if named else None]
