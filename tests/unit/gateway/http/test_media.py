"""Content negotiation: what is answered, and how it is compressed."""

from __future__ import annotations

import pytest

from gateway.http import media


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, application/json;q=0.5", "application/json"),
        ("APPLICATION/JSON", "application/json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
    ],
)
def test_what_is_answered_follows_accept(accept: str, chosen: str | None) -> None:
    assert media.choose(accept, ("application/json",)) == chosen


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("gzip, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("identity", ""),
        ("*", "br"),
        ("br;q=0.1, gzip", "gzip"),
    ],
)
def test_compression_follows_accept_encoding(accepted: str, chosen: str) -> None:
    assert media.encoding(accepted) == chosen


@pytest.mark.parametrize(
    ("kind", "is_json"),
    [
        ("application/json", True),
        ("Application/JSON; charset=UTF-8", True),
        ("application/json; charset=latin-1", False),
        ("application/x-www-form-urlencoded", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_only_json_in_utf8_is_json(kind: str, is_json: bool) -> None:
    assert media.is_json(kind) is is_json
