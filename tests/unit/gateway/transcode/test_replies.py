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


def test_maps_stay_in_the_order_in_which_the_service_wrote_them() -> None:
    for labels in ({"b": "2", "a": "1"}, {"a": "1", "b": "2"}):
        message = book(labels=labels)
        written = sorted(labels, key=lambda key: message.to_binary().index(key.encode()))
        assert list(json.loads(reply("GET", "/v1/books/b", message).body)["labels"]) == written


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
