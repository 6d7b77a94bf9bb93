"""From path, query and body to the request message."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.problems import Problem
from tests.unit.gateway import gateway_sample as sample

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Z", "Cc"), exclude_characters="\0"))


def message(method: str, path: str, query: str = "", body: bytes | str = b"", kind: str = "application/json") -> Any:
    """The message that a request becomes."""
    route, segments = sample.route(method, path)
    raw = body.encode() if isinstance(body, str) else body
    return route.rpc.input.type.from_binary(sample.transcoder(route).request(segments, query, raw, kind))


def wrong(method: str, path: str, query: str = "", body: bytes | str = b"") -> dict[str, str]:
    """The fields that a request gets wrong, and why."""
    with pytest.raises(Problem) as caught:
        message(method, path, query, body)
    assert (caught.value.status, caught.value.name) == (400, "INVALID_ARGUMENT")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in caught.value.details}
    assert details["ErrorInfo"]["reason"] == "INVALID_FIELD"
    return {one["field"]: one["description"] for one in details["BadRequest"]["fieldViolations"]}


def status_of(body: bytes | str) -> int:
    """Whether a body becomes a message, or which status it gets."""
    try:
        message("POST", "/v1/books", body=body)
    except Problem as problem:
        return problem.status
    return 200


# The path


def test_a_variable_is_decoded_after_the_path_is_split() -> None:
    assert message("GET", "/v1/books/a%2Fb%20c%C3%A9").book_id == "a/b c\xe9"


def test_a_variable_of_many_segments_keeps_escaped_slashes() -> None:
    assert message("GET", "/v1/libraries/x%2fy/books/a/b%20c").name == "libraries/x%2Fy/books/a/b c"


def test_two_stars_match_nothing_too() -> None:
    assert message("GET", "/v1/libraries/x/books").name == "libraries/x/books"


@pytest.mark.parametrize("segment", ["%ff", "%zz", "%00"])
def test_a_path_that_cannot_be_decoded_is_refused(segment: str) -> None:
    assert "book_id" in wrong("GET", f"/v1/books/{segment}")


def test_the_path_wins_over_the_body() -> None:
    assert message("PUT", "/v1/books/b1", body='{"bookId": "b2", "title": "t"}').book.book_id == "b1"


def test_a_parameter_for_a_field_of_the_path_is_refused() -> None:
    assert "book_id" in wrong("GET", "/v1/books/b1", "bookId=b1")


# The query


def test_a_query_reaches_every_kind_of_field() -> None:
    query = (
        "text=a+b%2B&tags=x&tags=y&labels[k%201]=v&labels[l]=w&binding=1&bindings=BINDING_CLOTH&bindings=2"
        "&sinceTime=2026-01-01T00:00:00Z&loan=1.5s&read_mask=full_name,bornYear&limit=5&rare=true"
        "&author.full_name=x&author.teacher.bornYear=-3&sold=9007199254740993&weight=1.5&exact=true&shelf=7&"
    )
    search = message("GET", "/v1/books:search", query)
    asked = json.loads(search.to_json())
    assert asked == {
        "text": "a b+",
        "tags": ["x", "y"],
        "labels": {"k 1": "v", "l": "w"},
        "binding": "BINDING_PAPER",
        "bindings": ["BINDING_CLOTH", "BINDING_CLOTH"],
        "sinceTime": "2026-01-01T00:00:00Z",
        "loan": "1.500s",
        "readMask": "fullName,bornYear",
        "limit": 5,
        "rare": True,
        "author": {"fullName": "x", "teacher": {"bornYear": -3}},
        "sold": "9007199254740993",
        "weight": 1.5,
        "exact": True,
        "shelf": 7,
    }


@pytest.mark.parametrize("text", ["_-8", "_-8=", "/%2B8=", "/%2B8", "/+8"])
def test_bytes_are_read_in_both_alphabets_padded_or_not(text: str) -> None:
    assert message("GET", "/v1/books:search", f"cover={text}").cover == b"\xff\xef"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nothing=1", "nothing"),
        ("text.x=1", "text.x"),
        ("text=a&text=b", "text"),
        ("text=a&Text=b", "Text"),
        ("read_mask=a&readMask=b", "read_mask"),
        ("binding=LEATHER", "binding"),
        ("limit=x", "limit"),
        ("limit=1_0", "limit"),
        ("limit=99999999999", "limit"),
        ("rare=1", "rare"),
        ("exact=True", "exact"),
        ("shelf=-1", "shelf"),
        ("weight=nan", "weight"),
        ("author=x", "author"),
        ("labels=x", "labels"),
        ("text[k]=x", "text[k]"),
        ("sinceTime=yesterday", "since_time"),
        ("loan=5", "loan"),
        ("cover=!", "cover"),
        ("text=%ff", "text"),
        ("text=%2", "text"),
        ("text=%00", "text"),
        ("author.nothing=1", "author.nothing"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, field: str) -> None:
    assert field in wrong("GET", "/v1/books:search", query)


def test_a_method_whose_body_is_everything_takes_no_parameter() -> None:
    assert "title" in wrong("POST", "/v1/books", "title=x", "{}")


@pytest.mark.parametrize("name", ["book.title", "book.labels[x]", "book"])
def test_a_field_of_the_body_is_no_parameter(name: str) -> None:
    assert wrong("PATCH", "/v1/books/b1", f"{name}=x", "{}")


def test_a_field_beside_the_body_is_a_parameter() -> None:
    assert message("PATCH", "/v1/books/b1", "validateOnly=true", "{}").validate_only is True


@given(text=TEXT, tags=st.lists(TEXT, max_size=5), labels=st.dictionaries(TEXT, TEXT, max_size=3))
def test_a_query_survives_escaping(text: str, tags: list[str], labels: dict[str, str]) -> None:
    parts = [("text", text), *(("tags", tag) for tag in tags)]
    parts += [(f"labels[{key}]", value) for key, value in labels.items()]
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in parts)
    search = message("GET", "/v1/books:search", query)
    assert (search.text, search.tags, search.labels) == (text, tags, labels)


# The body


def test_names_of_the_contract_and_of_json_are_both_read() -> None:
    book = message("POST", "/v1/books", body='{"book_id": "b", "printedTime": "2026-01-01T00:00:00Z", "@odd": "x"}')
    assert (book.book_id, book.odd) == ("b", "x")


def test_no_body_is_an_empty_message() -> None:
    assert message("POST", "/v1/books").to_binary() == b""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"nothing": 1}', "nothing"),
        ('{"author": {"nothing": 1}}', "author.nothing"),
        ('{"title": "a", "title": "b"}', "title"),
        ('{"bookId": "a", "book_id": "b"}', "book_id"),
        ('{"author": {"fullName": "a", "fullName": "a"}}', "author.fullName"),
        ('{"extra": {"a": {"b": 1, "b": 2}}}', "extra.a.b"),
        ('{"labels": {"a": "1", "a": "2"}}', "labels.a"),
        ('{"title": "\\u0000"}', "title"),
        ('{"title": "\\ud800"}', "title"),
        ('{"labels": {"\\ud800": ""}}', "labels"),
        ('{"extra": {"a": ["\\u0000"]}}', "extra.a[0]"),
        ('{"author": {"fullName": 3}}', "author.full_name"),
        ('{"helpers": [{}, {"bornYear": "x"}]}', "helpers[1].born_year"),
        ('{"helpers": {}}', "helpers"),
        ('{"editions": {"1": {"bornYear": true}}}', "editions[1].born_year"),
        ('{"editions": {"x": {}}}', "editions"),
        ('{"weight": 1e400}', "weight"),
        ('{"pages": 1.5}', "pages"),
        ('{"pages": 2147483648}', "pages"),
        ('{"sold": 1e30}', "sold"),
        ('{"rare": "yes"}', "rare"),
        ('{"cents": "5", "freeBecause": "old"}', "free_because"),
        ('{"binding": "LEATHER"}', "binding"),
        ('{"cover": "%"}', "cover"),
        ('{"printedTime": "yesterday"}', "printed_time"),
        ('{"loan": 5}', "loan"),
        ('{"copies": "x"}', "copies"),
        ('{"attachment": {"@type": "type.googleapis.com/nothing"}}', "attachment"),
        ('{"tags": [null]}', "tags"),
        ('{"extra": ' + '{"a":' * 31 + "1" + "}" * 32, "extra"),
        ('{"author": ' + '{"teacher":' * 100 + "{}" + "}" * 101, "body"),
        ("[" * 100_000, "body"),
        ('{"weight": NaN}', "body"),
        ('{"weight": Infinity}', "body"),
        ("[]", "body"),
        ("1", "body"),
        ("null", "body"),
        ("{", "body"),
        ("{}{}", "body"),
        ("{'a': 1}", "body"),
        ('{"title": "a",}', "body"),
    ],
)
def test_a_wrong_body_names_the_field(body: str, field: str) -> None:
    assert field in wrong("POST", "/v1/books", body=body)


@pytest.mark.parametrize("body", [b"\xff", b'{"title": "\xff"}', b"\xef\xbb\xbf{}", '{"a": 1}'.encode("utf-16")])
def test_a_body_that_is_not_utf8_is_refused(body: bytes) -> None:
    assert "body" in wrong("POST", "/v1/books", body=body)


def test_every_wrong_field_is_named_at_once() -> None:
    violations = wrong("POST", "/v1/books", body='{"title": 1, "pages": "x", "author": {"fullName": []}}')
    assert set(violations) == {"title", "pages", "author.full_name"}


def test_fields_of_a_body_that_is_one_field_are_named_from_the_request() -> None:
    assert "book.author.full_name" in wrong("PUT", "/v1/books/b", body='{"author": {"fullName": 1}}')


def test_what_json_allows_is_read() -> None:
    body = '{"title": "\\u00e9\\ud83d\\ude00", "sold": "5", "pages": 2e1, "note": null, "extra": {"a_b": null}}'
    book = message("POST", "/v1/books", body=body)
    assert (book.title, book.sold, book.pages, book.note) == ("\xe9\U0001f600", 5, 20, None)


def test_key_given_twice_is_found_among_many_without_comparing_each_with_each() -> None:
    keys = [f"k{key}" for key in range(50_000)]
    body = "{" + ",".join(f'"{key}":0' for key in [*keys, keys[-1]]) + "}"
    started = time.process_time()
    assert wrong("POST", "/v1/books", body=body)[keys[-1]] == "is given twice"
    assert time.process_time() - started < 5  # it takes a tenth of a second, and comparing took half a minute


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_message_or_a_400(body: bytes) -> None:
    assert status_of(body) in (200, 400)


NAMES = st.sampled_from(["title", "author", "extra", "a"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["title", "author", "extra", "a"]), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["title", "author", "labels", "extra", "helpers", "copies", "x"]), JSON))
def test_no_json_makes_anything_but_a_message_or_a_400(value: dict[str, Any]) -> None:
    assert status_of(json.dumps(value)) in (200, 400)


# Masks and uploads


def test_the_mask_of_a_patch_is_made_of_its_body() -> None:
    body = (
        '{"title": "t", "author": {"teacher": {"bornYear": 1}}, "labels": {"a": "b"}, "note": null, "@odd": "z",'
        ' "extra": {"x": {"y": 1}}, "helpers": [{"fullName": "h"}], "copies": "3", "bookId": "other"}'
    )
    update = message("PATCH", "/v1/books/b1", body=body)
    assert update.update_mask.paths == [
        "title",
        "author.teacher.born_year",
        "labels",
        "note",
        "copies",
        "extra",
        "helpers",
        "odd",
    ]


def test_an_empty_message_in_a_patch_is_named_itself() -> None:
    assert message("PATCH", "/v1/books/b1", body='{"author": {}}').update_mask.paths == ["author"]


def test_a_date_in_a_patch_is_named_as_a_whole() -> None:
    body = '{"saleDate": {"year": 2027, "month": 3, "day": 1}}'
    assert message("PATCH", "/v1/books/b1", body=body).update_mask.paths == ["sale_date"]


def test_an_explicit_mask_is_used_as_it_is() -> None:
    update = message("PATCH", "/v1/books/b1", "updateMask=title,author.full_name", '{"pages": 1}')
    assert update.update_mask.paths == ["title", "author.full_name"]


def test_only_a_patch_gets_a_mask() -> None:
    assert message("PUT", "/v1/books/b1", body='{"title": "t"}').update_mask is None


def test_a_patch_without_fields_gets_no_mask() -> None:
    assert message("PATCH", "/v1/books/b1", body="{}").update_mask is None


def test_an_upload_is_passed_on_as_it_came() -> None:
    upload = message("PUT", "/v1/books/b1/content", body=b"\x00\xff", kind="application/pdf")
    assert (upload.book_id, upload.content.content_type, upload.content.data) == ("b1", "application/pdf", b"\x00\xff")
