"""Product files from anybody: every fault has its line, and nothing in a file can do harm."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.quotes.catalogue.adapters.source import dump, parse, read_source
from services.quotes.catalogue.rules.definition import DefinitionError
from tests.unit.quotes.samples import small

TEXT = yaml.safe_dump(small(), sort_keys=False)


def faults_of(text: str) -> dict[str, tuple[int, str]]:
    with pytest.raises(DefinitionError) as caught:
        read_source(parse(text))
    return {fault.key: (fault.line, fault.problem) for fault in caught.value.faults}


def line_of(text: str, beginning: str) -> int:
    """The line of a file that begins so, counted from 1."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if line.strip().startswith(beginning))


def test_every_fault_has_the_line_of_its_key() -> None:
    text = TEXT.replace("currency: EUR", "currency: EUX").replace("straw: '1.85'", "straw: '1.85'\n    mud: '2.00'")
    text = text.replace("of: limit", "off: limit")
    assert faults_of(text) == {"rating[1].off": (line_of(text, "off: limit"), "unknown key")}
    text = text.replace("off: limit", "of: limit")
    faults = faults_of(text)
    assert faults["currency"] == (line_of(text, "currency"), "'EUX' is not an ISO 4217 code")
    line, problem = faults["rating[3].table"]
    assert problem == "the row 'mud' is for nothing that can come"
    assert line == line_of(text, "mud") - 3 or text.split("\n")[line - 1].strip() == "table:"


def test_missing_key_has_the_line_of_what_it_is_missing_in() -> None:
    text = TEXT.replace("  type: boolean\n", "")
    assert faults_of(text)["questions[2].type"][0] == line_of(text, "- code: dog")
    assert faults_of("{}")["code"] == (1, "is missing")


def test_invalid_definition_lists_each_fault_with_its_line() -> None:
    with pytest.raises(DefinitionError) as caught:
        read_source(parse(TEXT.replace("validity_days: 30", "validity_days: 0").replace("version: 1", "version: 0")))
    assert caught.value.violations == {
        "version": f"line {line_of(TEXT, 'version')}: must be 1 or more",
        "validity_days": f"line {line_of(TEXT, 'validity_days')}: must be from 1 to 365",
    }
    assert caught.value.metadata == {"faults": "2"}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: [", 2, "while parsing"),
        ("a: 1\nb: &x [1]\nc: *x\n", 2, "takes no anchors and aliases"),
        ("a: 1\nb: " + "[" * 3000 + "]" * 3000, 2, "is nested too deep"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "could not determine a constructor"),
        ("a: 1\nb: !!binary aGk=\n", 2, "could not determine a constructor"),
        ("a: 1\nb: !!int 1_000\n", 2, "is not a whole number"),
        ("a: 1\nb: !!bool yes\n", 2, "is neither true nor false"),
        ("a: 1\nb: !!map [1]\n", 2, "is not a mapping"),
        ("a: 1\nb: !!seq {c: 1}\n", 2, "is not a list"),
        ("a: 1\nb: 9007199254740993\n", 2, "or too large"),
        ('a: 1\nb: "\\0"\n', 2, "is not printable"),
        ('a: 1\nb: "\\ud800"\n', 2, "invalid Unicode character"),
        ("a: 1\nb: \x07\n", 2, "is not printable"),
        ("a: 'ééé\néé'\nb: \x07\n", 3, "is not printable"),
        ("a: 1\n---\nb: 1\n", 2, "but found another document"),
    ],
)
def test_file_that_no_product_is_made_of_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text)
    (fault,) = caught.value.faults
    assert (fault.line, problem in fault.problem) == (line, True), fault


def test_very_long_number_stays_text() -> None:
    assert parse("a: " + "9" * 5000).document == {"a": "9" * 5000}


def test_document_comes_back_from_what_is_written_of_it() -> None:
    assert parse(dump(small())).document == small()


TEXTS = st.text(max_size=60) | st.text(alphabet="ab:[]{}&*!-'\"\n ?|>%@`,#~1", max_size=40)


@given(TEXTS)
def test_any_text_is_a_document_or_is_refused_with_a_line(text: str) -> None:
    lines = [1]
    with contextlib.suppress(DefinitionError):
        assert isinstance(_document(text, lines), dict)
    assert min(lines) >= 1


def _document(text: str, lines: list[int]) -> object:
    try:
        return parse(text).document
    except DefinitionError as error:
        lines += [fault.line for fault in error.faults]
        raise
