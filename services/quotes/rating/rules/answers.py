"""Answers to a product's questions, checked one by one before anything is priced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from libs.errors import Invalid
from services.quotes.catalogue.rules.product import Answer, Product, Question


class AnswerInvalid(Invalid):
    """An answer is missing, of a wrong type, or out of its range."""

    reason = "ANSWER_INVALID"


def check(product: Product, given: Mapping[str, object]) -> dict[str, Answer]:
    """The answers with their types, in the order of the questions. `AnswerInvalid` names the first wrong one.

    Numbers may come as doubles, the only numbers that JSON has: whole ones are whole numbers here.
    """
    _check_known(product, given)
    return {question.code: _check(question, given.get(question.code)) for question in product.questions}


def check_given(product: Product, given: Mapping[str, object]) -> dict[str, Answer]:
    """As `check`, for a draft: questions without an answer are left out."""
    _check_known(product, given)
    return {
        question.code: _check(question, given[question.code])
        for question in product.questions
        if given.get(question.code) is not None
    }


def missing(product: Product, given: Mapping[str, object]) -> tuple[str, ...]:
    """The questions that have no answer, in their order."""
    return tuple(question.code for question in product.questions if given.get(question.code) is None)


def _check_known(product: Product, given: Mapping[str, object]) -> None:
    known = {question.code for question in product.questions}
    for code in given:
        if code not in known:
            _refuse(code, "is not a question of the product")


def _check(question: Question, value: object) -> Answer:
    if value is None:
        _refuse(question.code, "has no answer")
    if question.type == "integer":
        return _integer(question, value)
    if question.type == "boolean":
        if not isinstance(value, bool):
            _refuse(question.code, "takes true or false")
        return value
    if not isinstance(value, str) or value not in question.choices:
        _refuse(question.code, f"takes one of {', '.join(question.choices)}")
    return value


def _integer(question: Question, value: object) -> int:
    # True is a whole number for Python, and none for anybody else.
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value in _ENDLESS:
        _refuse(question.code, "takes a whole number")
    number = int(value)
    if number != value:
        _refuse(question.code, "takes a whole number")
    if not (question.minimum or 0) <= number <= (question.maximum or 0):
        _refuse(question.code, f"takes a whole number from {question.minimum} to {question.maximum}")
    return number


_ENDLESS = (float("inf"), float("-inf"))


def _refuse(code: str, why: str) -> NoReturn:
    raise AnswerInvalid(f"{code} {why}", question=code)
