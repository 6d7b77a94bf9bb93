"""What holds of every policy, whatever happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise

from libs.premium import LineKind
from services.payments.billing.rules import transaction as billed
from services.payments.billing.rules.earning import Earnable, earned_by
from services.payments.billing.rules.transaction import TimelineLine
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.term import Term
from services.policies.lifecycle.rules.transaction import Ending, Reopening
from tests.unit.policies.histories import Command, History
from tests.unit.policies.stacks import EUR, amounts


def live(history: History, commands: Iterable[Command], *, checks: bool = True) -> None:
    """Go through a history; what is refused changes nothing, and every proof holds behind what is not."""
    for command in commands:
        before = history.made
        if not history.do(command):
            assert history.made is before
        elif checks and history.made is not before:
            check(history)


def check(history: History) -> None:
    """Every proof at once."""
    check_contract(history.made)


def check_contract(made: Contract) -> None:
    """Every proof of a policy with its stack."""
    charged = amounts(*(transaction.lines for transaction in made.stack))
    assert charged == amounts([line for term in made.policy.terms for line in term.lines()]), (
        "the lines of all transactions are not those of the timeline"
    )
    assert all(amount > 0 for amount in charged.values()), "more was given back than was charged"
    assert _shape(made.terms_of(made.stack)) == _shape(made.policy.terms), "the stack does not come to the timeline"
    numbers = [item.billing_sequence for item in made.stack if item.billing_sequence is not None]
    assert numbers == list(range(1, len(numbers) + 1)), "payments would wait for a transaction that never comes"
    assert all(item.billing_sequence for item in made.stack if item.lines), "money that payments is not told of"
    moments = [item.issued_at for item in made.stack]
    assert moments == sorted(set(moments)), "two transactions were issued at one moment"
    for term in made.policy.terms:
        check_cover(made, term)
        check_earning(made, term)


def check_cover(made: Contract, term: Term) -> None:
    """No day is covered twice, and none is left out but before a reinstatement with gap."""
    days = [(segment.starts_on, segment.ends_on) for segment in term.segments]
    assert all(start < end for start, end in days)
    assert all(end <= start for (_, end), (start, _) in pairwise(days)), "covered twice"
    if days:
        assert term.starts_on <= days[0][0]
        assert days[-1][1] <= term.ends_on
    standing = made.standing
    endings = [item for item in standing if isinstance(item.change, Ending)]
    reopened = {
        max(item.effective_on, term.starts_on)
        for item in standing
        if isinstance(item.change, Reopening) and item.reason == "with_gap"
    }
    first = [(term.starts_on, term.starts_on)]
    for (_, end), (start, _) in zip(first + days, days, strict=False):
        assert end == start or start in reopened, f"nothing is covered from {end} to {start}"
    if not endings:
        assert days[0][0] == term.starts_on
    if term.ended is None:
        assert days[-1][1] == term.ends_on, "cover stops before its end"
    else:
        assert not days or days[-1][1] <= term.ended.on


def check_earning(made: Contract, term: Term) -> None:
    """Payments takes the timeline for what was charged, and earns by it until nothing is left."""
    timeline = timeline_of(term)
    lines = [line for item in made.stack for line in item.lines if line.term_number == term.number]
    billed.check_timeline(timeline, lines)
    written: dict[tuple[str, int], int] = {}
    for line in lines:
        if line.kind is LineKind.PREMIUM:
            part = (line.coverage_code, line.term_number)
            written[part] = written.get(part, 0) + line.amount.minor
    policy = Earnable(made.policy.id, EUR, None, 1, False, written, timeline)
    total, before = sum(written.values()), 0
    for day in _days(term):
        earned = sum(amount.minor for amount in earned_by(policy, day).values())
        shown = sum(term.earned(item, day).minor for item in term.items)
        assert earned == shown
        assert before <= earned <= total, "unearned premium is negative, or earned premium fell"
        before = earned
    assert before == total, "something is never earned"


def timeline_of(term: Term) -> list[TimelineLine]:
    """A term as payments is sent it."""
    return [
        TimelineLine(term.number, object_id, coverage_code, segment.starts_on, segment.ends_on, amount, term.days)
        for segment in term.segments
        for (object_id, coverage_code), amount in segment.full_term.items()
    ]


def _days(term: Term) -> list[date]:
    """Days at which something may be off by one: around the edges of segments, and the ends of months."""
    edges = {term.starts_on, *(day for part in term.segments for day in (part.starts_on, part.ends_on))}
    near = {day + timedelta(days=by) for day in edges for by in (-1, 0, 1)}
    months = {date(term.starts_on.year, month, 1) for month in range(2, 13)}
    last = term.ended.on if term.ended else term.ends_on
    return [day for day in sorted(near | months) if term.starts_on <= day < last] + [max(last, term.starts_on)]


def _shape(terms: Sequence[Term]) -> list[object]:
    return [(term.number, term.segments, term.ended, term.cover_starts_at, amounts(term.lines())) for term in terms]
