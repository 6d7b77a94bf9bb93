"""Path templates: what they may look like, and how the parts of a path are decoded."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contracts import templates
from gateway.contracts.templates import PathError, TemplateError

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Z", "Cc"), exclude_characters="\0"), min_size=1)


def test_a_template_is_split_into_segments_variables_and_verb() -> None:
    template = templates.parse("/v1/{name=shelves/*/books/**}:lend")
    assert template.segments == ("v1", "shelves", "*", "books", "**")
    assert template.verb == "lend"
    (variable,) = template.variables
    assert (variable.field_path, variable.start, variable.end, variable.many) == ("name", 1, None, True)


def test_a_bare_variable_is_one_segment() -> None:
    (variable,) = templates.parse("/v1/users/{user.user_id}").variables
    assert (variable.start, variable.end, variable.many) == (2, 3, False)


@pytest.mark.parametrize(
    "text",
    [
        "v1/users",
        "/v1//users",
        "/v1/{user_id",
        "/v1/{user-id}",
        "/v1/{}",
        "/v1/**/users",
        "/v1/{a}/{a}",
        "/v1/{a}b",
        "/v1/users:",
        "/v1/us ers",
        "/v1/{a={b}}",
        "/",
    ],
)
def test_a_malformed_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        templates.parse(text)


def test_templates_of_one_shape_match_the_same_paths() -> None:
    assert templates.parse("/v1/{a}/{b=**}:x").shape == templates.parse("/v1/{c}/{d=**}:x").shape


@given(TEXT)
def test_a_segment_survives_escaping(text: str) -> None:
    assert templates.decode(quote(text, safe="")) == text


@given(st.lists(TEXT, min_size=1))
def test_a_value_of_many_segments_keeps_its_escaped_slashes(parts: list[str]) -> None:
    value = templates.decode_many([quote(part, safe="") for part in parts])
    assert value == "/".join(part.replace("/", "%2F") for part in parts)


@pytest.mark.parametrize("raw", ["%", "%2", "%zz", "a%", "%ff", "%c3%28", "%00", "\xe9"])
def test_a_bad_escape_is_an_error(raw: str) -> None:
    with pytest.raises(PathError):
        templates.decode(raw)
