"""Changes of policies for tests: asked for, priced and issued as the service does it, with a rating that is exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from libs.money import Money
from libs.premium import Coverage, InsuredObject, Premium
from services.policies.lifecycle.rules import change_request, contract, endorsement
from services.policies.lifecycle.rules.change_request import Request
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.endorsement import Stretch
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.quote import Priced, Quote
from services.policies.lifecycle.rules.term import Risk
from tests.unit.policies import stacks
from tests.unit.policies.contracts import RULES, contract_of
from tests.unit.policies.stacks import EUR, FIRST, LAST, Stack

NOW = datetime(2025, 1, 2, tzinfo=UTC)
CAR = InsuredObject("car_1", "car", {"plate": "AA-11", "value": 9000}, "AA-11")
ONE_CAR = Risk({"price_liability": 120000, "km": 10000, "use": "private"}, (CAR,), (Coverage("liability"),))


def a_contract(risk: Risk | None = None, rules: ProductRules = RULES, terms: int = 1) -> Contract:
    """A policy that was just issued, with terms of a year one behind the other."""
    stack = Stack()
    starts_on, ends_on = FIRST, LAST
    for number in range(1, terms + 1):
        stack.open(risk or stacks.risk(), number, starts_on, ends_on)
        starts_on, ends_on = ends_on, date(ends_on.year + 1, 1, 1)
    made = contract_of(stack)
    return replace(
        made, rules={1: rules}, policy=replace(made.policy, terms=replace(made, rules={1: rules}).terms_of(made.stack))
    )


def planned(base: Contract, asked: Request) -> list[Stretch]:
    """What is to be priced of a request."""
    asked = change_request.named(asked, base.policy.terms)
    delta = change_request.delta_of(asked, endorsement.risk_on(base.stack, asked.effective_on, EUR))
    return endorsement.stretches(base, asked.effective_on, delta, NOW)


def quoted(base: Contract, asked: Request) -> Quote:
    """The accepted quote of a request, each segment priced by itself."""
    return quote_of(base, planned(base, asked))


def quote_of(base: Contract, stretches: Sequence[Stretch]) -> Quote:
    """The accepted quote of what is to be priced."""
    zero = Money.zero(EUR)
    opening = base.opened(1).change
    return Quote(
        id=UUID(int=1000 + len(base.stack)),
        user_id=base.policy.user_id,
        created_by=base.policy.user_id,
        product_code="motor",
        product_version=1,
        time_zone="UTC",
        state="accepted",
        valid_until=NOW + timedelta(days=30),
        starts_on=stretches[0].starts_on,
        ends_on=stretches[-1].ends_on,
        premium=Premium(zero, zero, zero),
        coverages=(),
        plans={},
        kind="endorsement",
        timeline_sequence=endorsement.timeline_sequence(base.stack),
        segments=tuple(
            Priced(each.starts_on, each.ends_on, each.risk, stacks.rate(opening, each.risk))  # type: ignore[arg-type]
            for each in stretches
        ),
    )


def issued(base: Contract, quote: Quote) -> tuple[Contract, Changed]:
    """The policy with the change of a quote."""
    drafted = replace(endorsement.change_in(quote, base, NOW), id=UUID(int=len(base.stack) + 1))
    changed = contract.put(base, drafted)
    return replace(base, policy=changed.after, stack=(*base.stack, changed.transaction)), changed


def endorsed(base: Contract, *requests: Request) -> Contract:
    """The policy with changes, issued in that order; one that changes nothing is left out."""
    for asked in requests:
        try:
            base, _ = issued(base, quoted(base, asked))
        except endorsement.ChangeEmpty:
            continue
    return base


def risk_on(base: Contract, day: date) -> Risk:
    """What is insured on a day."""
    segment = next(term for term in base.policy.terms if term.starts_on <= day < term.ends_on).segment_on(day)
    assert segment is not None
    return segment.risk
