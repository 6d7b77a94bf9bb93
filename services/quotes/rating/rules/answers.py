"""Answers to questions, checked one by one before anything is priced: those of a risk, and those of each object.

A checked answer is what the contract and the database carry: a boolean, a whole number or text. Dates are text such as
`2019-04-30`, decimal numbers and amounts of money text with all their places, so that equal answers are equal texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NoReturn

from libs.errors import Invalid
from libs.money import PLAIN_DECIMAL
from services.quotes.catalogue.rules.product import LONGEST_TEXT, Answer, Product, Question
from services.quotes.catalogue.rules.variables import places_of, to_places

Accept = Callable[[object], Answer]
"""Gives the answer with its type; `WrongAnswer` says what is wrong with it."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ENDLESS = (float("inf"), float("-inf"))


class AnswerInvalid(Invalid):
    """An answer is missing, of a wrong type, or out of its range."""

    reason = "ANSWER_INVALID"


class WrongAnswer(ValueError):
    """An answer is not one that its question takes. The message says why, behind the question's code."""


def compile_answers(product: Product) -> Callable[[Mapping[str, object]], dict[str, Answer]]:
    """A function that gives the answers with their types, in the order of the questions.

    `AnswerInvalid` names the first wrong one. Numbers may come as doubles, the only numbers that JSON has: whole ones
    are whole numbers here.
    """
    accepts = compile_accepts(product.questions, product.currency)

    def check(given: Mapping[str, object]) -> dict[str, Answer]:
        checked = {}
        for code, accept in accepts.items():
            value = given.get(code)
            if value is None:
                _check_known(accepts, given)
                _refuse(code, "has no answer")
            checked[code] = _check(code, accept, value)
        if len(given) > len(checked):
            _check_known(accepts, given)
        return checked

    return check


def check_given(product: Product, given: Mapping[str, object]) -> dict[str, Answer]:
    """The answers of a draft with their types: questions without an answer are left out."""
    accepts = compile_accepts(product.questions, product.currency)
    _check_known(accepts, given)
    return {
        code: _check(code, accept, value) for code, accept in accepts.items() if (value := given.get(code)) is not None
    }


def missing(product: Product, given: Mapping[str, object]) -> tuple[str, ...]:
    """The questions that have no answer, in their order."""
    return tuple(question.code for question in product.questions if given.get(question.code) is None)


def _check_known(accepts: Mapping[str, Accept], given: Mapping[str, object]) -> None:
    for code in given:
        if code not in accepts:
            _refuse(code, "is not a question of the product")


def _check(code: str, accept: Accept, value: object) -> Answer:
    try:
        return accept(value)
    except WrongAnswer as error:
        _refuse(code, str(error))


def compile_accepts(questions: Sequence[Question], currency: str) -> dict[str, Accept]:
    """What each question accepts, by its code."""
    makers: dict[str, Callable[[Question, str], Accept]] = {
        "integer": _integer,
        "boolean": _boolean,
        "choice": _choice,
        "text": _text,
        "date": _date,
        "decimal": _decimal,
        "money": _decimal,
    }
    return {question.code: makers[question.type](question, currency) for question in questions}


def _integer(question: Question, currency: str) -> Accept:
    minimum, maximum = int(question.minimum or 0), int(question.maximum or 0)

    def accept(value: object) -> int:
        # True is a whole number for Python, and none for anybody else.
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value in _ENDLESS:
            raise WrongAnswer("takes a whole number")
        number = int(value)
        if number != value:
            raise WrongAnswer("takes a whole number")
        if not minimum <= number <= maximum:
            raise WrongAnswer(f"takes a whole number from {minimum} to {maximum}")
        return number

    return accept


def _boolean(question: Question, currency: str) -> Accept:
    def accept(value: object) -> bool:
        if not isinstance(value, bool):
            raise WrongAnswer("takes true or false")
        return value

    return accept


def _choice(question: Question, currency: str) -> Accept:
    choices = question.choices

    def accept(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise WrongAnswer(f"takes one of {', '.join(choices)}")
        return value

    return accept


def _text(question: Question, currency: str) -> Accept:
    longest = question.maximum_length or LONGEST_TEXT
    matches = re.compile(question.pattern, re.ASCII).fullmatch if question.pattern else None

    def accept(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise WrongAnswer("takes text")
        if len(value) > longest:
            raise WrongAnswer(f"takes text of at most {longest} characters")
        if not value.isprintable():
            raise WrongAnswer("takes text on one line")
        if matches is not None and not matches(value):
            raise WrongAnswer(f"takes text such as {question.pattern}")
        return value

    return accept


def _date(question: Question, currency: str) -> Accept:
    def accept(value: object) -> str:
        # Python's own reader takes weeks and dates without hyphens as well.
        if not isinstance(value, str) or not _DATE.fullmatch(value):
            raise WrongAnswer("takes a date such as 2019-04-30")
        try:
            date.fromisoformat(value)
        except ValueError:
            raise WrongAnswer("takes a day of the calendar") from None
        return value

    return accept


def _decimal(question: Question, currency: str) -> Accept:
    places = places_of(question, currency)
    minimum, maximum = to_places(question.minimum, places), to_places(question.maximum, places)

    def accept(value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | str | float):
            raise WrongAnswer("takes a number as text")
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
        if (isinstance(value, float) and not value.is_integer()) or not PLAIN_DECIMAL.fullmatch(text):
            raise WrongAnswer("takes a number as text, such as 12.50")
        try:
            number = to_places(text, places)
        except ValueError:
            raise WrongAnswer(f"takes a number of at most {places} decimal places") from None
        if not minimum <= number <= maximum:
            raise WrongAnswer(f"takes a number from {question.minimum} to {question.maximum}")
        return f"{Decimal(number).scaleb(-places):.{places}f}"

    return accept


def _refuse(code: str, why: str) -> NoReturn:
    raise AnswerInvalid(f"{code} {why}", question=code)
