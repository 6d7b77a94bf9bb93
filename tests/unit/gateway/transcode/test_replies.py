"""From the reply message to JSON, and the tag of a reply."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.gateway import gateway_sample as sample


def reply(method: str, path: str, message: Any) -> Any:
    route, _ = sample.route(method, path)
    return sample.transcoder(route).reply(message.to_binary())


def book(**fields: Any) -> Any:
    return sample.kind("Book").type(**fields)


def test_zero_values_are_printed_and_unset_messages_are_not() -> None:
    body = json.loads(reply("GET", "/v1/books/b", book(book_id="b")).body)
    assert body["title"] == ""
    assert body["sold"] == "0"
    assert body["binding"] == "BINDING_UNSPECIFIED"
    assert body["labels"] == {}
    assert body["tags"] == []
    assert not {"author", "note", "printedTime", "pages", "cents"} & set(body)


def test_maps_are_in_one_order_at_every_depth() -> None:
    author = sample.kind("Author").type
    one = book(labels={"a": "1", "b": "2"}, editions={2: author(), 1: author(born_year=1)})
    other = book(labels={"b": "2", "a": "1"}, editions={1: author(born_year=1), 2: author()})
    assert one.to_binary() != other.to_binary()
    assert reply("GET", "/v1/books/b", one).body == reply("GET", "/v1/books/b", other).body


def test_a_struct_is_in_one_order() -> None:
    struct = sample.registry().message("google.protobuf.Struct")
    assert struct is not None
    one = struct.type.from_json('{"a": {"x": 1, "y": 2}, "b": [{"p": 1, "q": 2}]}')
    other = struct.type.from_json('{"b": [{"q": 2, "p": 1}], "a": {"y": 2, "x": 1}}')
    assert reply("GET", "/v1/books/b", book(extra=one)).body == reply("GET", "/v1/books/b", book(extra=other)).body


def test_a_response_body_is_the_field_alone() -> None:
    message = sample.kind("SearchResponse").type(titles=["Ulysses"])
    assert reply("GET", "/v1/titles", message).body == b'["Ulysses"]'
    assert reply("GET", "/v1/titles", sample.kind("SearchResponse").type()).body == b"[]"


def test_a_download_is_bytes_with_their_own_type() -> None:
    kind = sample.registry().message("google.api.HttpBody")
    assert kind is not None
    download = reply("GET", "/v1/books/b/content", kind.type(content_type="application/pdf", data=b"%PDF"))
    assert (download.body, download.content_type) == (b"%PDF", "application/pdf")


def test_the_tag_of_a_resource_is_its_etag() -> None:
    assert reply("GET", "/v1/books/b", book(etag="v1")).etag == '"v1"'


def test_the_tag_of_another_reply_is_weak_and_follows_its_bytes() -> None:
    one, other = (reply("GET", "/v1/books/b", book(title=title)).etag for title in ("x", "y"))
    assert one.startswith('W/"')
    assert one != other
    assert one == reply("GET", "/v1/books/b", book(title="x")).etag


def test_a_reply_to_a_change_has_a_tag_only_if_the_resource_has_one() -> None:
    assert reply("POST", "/v1/books", book(title="x")).etag == ""


def test_an_etag_that_no_header_can_hold_is_replaced() -> None:
    assert reply("GET", "/v1/books/b", book(etag='a"\r\nx')).etag.startswith('W/"')
