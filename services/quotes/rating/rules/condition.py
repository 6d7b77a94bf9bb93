"""Conditions on answers, as rating steps and underwriting rules have them."""

from __future__ import annotations

from collections.abc import Callable

from services.quotes.catalogue.rules.product import Answer, Answers, Comparison, Condition

Holds = Callable[[Answers], bool]


def always(answers: Answers) -> bool:
    """The condition of what has none."""
    return True


def compile_condition(condition: Condition) -> Holds:
    """A function that says whether every comparison holds; made once, because it runs for every price."""
    tests = [(question, _test(comparison)) for question, comparison in condition.items()]
    if not tests:
        return always
    if len(tests) == 1:
        ((question, test),) = tests
        return lambda answers: test(answers[question])
    return lambda answers: all(test(answers[question]) for question, test in tests)


def _test(comparison: Comparison) -> Callable[[Answer], bool]:
    accepted = (comparison.equals,) if comparison.equals is not None else comparison.one_of
    least, most = comparison.at_least, comparison.at_most

    def test(answer: Answer) -> bool:
        return (
            (not accepted or answer in accepted)
            and (least is None or int(answer) >= least)
            and (most is None or int(answer) <= most)
        )

    return test
