"""Answers: what is accepted, and what is refused with its question named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.quotes.catalogue.adapters.reading import read
from services.quotes.rating.rules.answers import AnswerInvalid, compile_answers
from tests.unit.quotes.samples import small

check = compile_answers(read(small()))
GOOD: dict[str, Any] = {"area": 95.0, "roof": "tile", "dog": True}


def test_whole_doubles_become_whole_numbers_in_the_order_of_the_questions() -> None:
    checked = check({"dog": False, "roof": "straw", "area": 95.0})
    assert list(checked.items()) == [("area", 95), ("roof", "straw"), ("dog", False)]
    assert type(checked["area"]) is int


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("area", None),
        ("area", 95.5),
        ("area", 0.0),
        ("area", 1001.0),
        ("area", -1.0),
        ("area", float("nan")),
        ("area", float("inf")),
        ("area", float("-inf")),
        ("area", 1e300),
        ("area", "95"),
        ("area", True),
        ("area", [95.0]),
        ("roof", None),
        ("roof", "slate"),
        ("roof", "Tile"),
        ("roof", 1.0),
        ("roof", ["tile"]),
        ("dog", None),
        ("dog", 1.0),
        ("dog", "true"),
        ("colour", "red"),
    ],
)
def test_wrong_answer_is_refused_with_its_question(question: str, answer: object) -> None:
    with pytest.raises(AnswerInvalid) as caught:
        check({**GOOD, question: answer})
    assert caught.value.metadata == {"question": question}


@pytest.mark.parametrize("question", GOOD)
def test_missing_answer_is_refused(question: str) -> None:
    given_answers = {code: answer for code, answer in GOOD.items() if code != question}
    with pytest.raises(AnswerInvalid) as caught:
        check(given_answers)
    assert caught.value.metadata == {"question": question}


@given(st.one_of(st.floats(), st.integers(), st.text(), st.booleans(), st.none()))
def test_an_accepted_number_is_whole_and_in_range(answer: object) -> None:
    try:
        checked = check({**GOOD, "area": answer})
    except AnswerInvalid:
        return
    assert checked["area"] == answer
    assert 1 <= int(checked["area"]) <= 1000
