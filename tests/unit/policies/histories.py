"""Whole lives of a policy for tests: every command with its own rule, under a clock that goes on, in any order.

A command that its rule refuses leaves the policy as it was, as in the service. Whatever else is raised is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from libs.calendar import day_of
from libs.errors import DomainError
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from services.policies.lifecycle.rules import (
    cancellation,
    change_request,
    contract,
    endorsement,
    lapse,
    parties,
    policy,
    reinstatement,
    renewal,
    reversal,
)
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.change_request import OnConflict, Request
from services.policies.lifecycle.rules.contract import Changed, Contract
from services.policies.lifecycle.rules.endorsement import Limits, Stretch
from services.policies.lifecycle.rules.lapse import Lapse
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import FeeRule, ReinstatementRule, RenewalRule
from services.policies.lifecycle.rules.quote import Priced, Quote
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from services.policies.lifecycle.rules.reversal import NotLastTransaction
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.transaction import Opening, Transaction
from tests.unit.policies import stacks
from tests.unit.policies.contracts import CANCELLATIONS, RULES, contract_of
from tests.unit.policies.stacks import EUR, FIRST, Stack

ISSUED = datetime(2024, 12, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BACKDATING = Limits(0, 30)
CHANGE_FEE = FeeRule("change_fee", Money(500, EUR), frozenset({"endorsement"}), is_returned=False)
PRODUCT = replace(
    RULES,
    fees=(*RULES.fees, CHANGE_FEE),
    reinstatement=ReinstatementRule(60, with_gap=True, needs_statement=False),
    renewal=RenewalRule(330, is_automatic=True, covers_in_grace=False, late_days=20),
)
EVERY_ROLE = frozenset({"customer", "underwriter", "adjuster", "system"})
REASONS = tuple(rule.reason for rule in CANCELLATIONS)
CARS = tuple(InsuredObject(name, "car", {"value": 1}, name) for name in stacks.CARS)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that is to be done to a policy; what the numbers mean is each command's own business."""

    name: str
    day: int = 0
    number: int = 0


@dataclass
class History:
    """A policy, with what happened to it until now."""

    made: Contract
    now: datetime = ISSUED
    done: list[str] = field(default_factory=list)
    """The commands that were not refused."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The others, with the reason."""

    @classmethod
    def begin(cls, price: int = 120000, cars: int = 1, coverages: int = 2) -> History:
        """A policy that was just issued, and is not paid for."""
        stack = Stack()
        stack.open(stacks.risk(price, stacks.CARS[:cars], stacks.COVERAGES[:coverages]))
        made = contract_of(stack, PRODUCT)
        first = replace(made.stack[0], issued_at=ISSUED, billing_sequence=1)
        made = replace(made, stack=(first,), policy=replace(made.policy, issued_at=ISSUED))
        terms = made.terms_of(made.stack)
        first = replace(first, lines=tuple(line for term in terms for line in term.lines()))
        return cls(replace(made, stack=(first,), policy=replace(made.policy, terms=terms)))

    @property
    def stack(self) -> Sequence[Transaction]:
        """All transactions, in order of issue."""
        return self.made.stack

    @property
    def state(self) -> State:
        """How the policy stands now."""
        return self.made.policy.state(self.now)

    @property
    def today(self) -> date:
        """The day that it is."""
        return day_of(self.now, self.made.policy.time_zone)

    @property
    def lines(self) -> list[ChargeLine]:
        """What the timeline costs."""
        return [line for term in self.made.policy.terms for line in term.lines()]

    def do(self, command: Command) -> bool:
        """Carry a command out; whether it was not refused."""
        try:
            COMMANDS[command.name](self, command)
        except DomainError as refusal:
            self.refused.append((command.name, refusal.reason))
            return False
        self.done.append(command.name)
        return True

    def put(self, changed: Changed) -> Changed:
        """Go on with a change that was decided."""
        self.add(changed.after, changed.transaction)
        return changed

    def add(self, after: Policy, transaction: Transaction) -> None:
        """Go on with a policy and its new transaction."""
        self.made = replace(self.made, policy=after, stack=(*self.made.stack, transaction))

    def next_id(self) -> UUID:
        """The id of the next transaction."""
        return UUID(int=len(self.made.stack) + 1)

    def any_day(self, number: int) -> date:
        """A day of any term, or shortly before or after; days near today come as often as all others."""
        if number % 2:
            return self.today + timedelta(days=number // 2 % 50 - 10)
        last = self.made.policy.terms[-1].ends_on
        return FIRST - DAY + timedelta(days=number // 2 % ((last - FIRST).days + 2))


def pass_time(history: History, command: Command) -> None:
    """Some hours or weeks go by."""
    history.now += timedelta(hours=1 + command.day % (24 * 45))


def pay(history: History, command: Command) -> None:
    """The first premium of a term is paid."""
    number = command.number % len(history.made.policy.terms) + 1
    history.add(
        *policy.activate(
            history.made.policy,
            number,
            history.stack[-1],
            "pay_1",
            history.now,
            history.now,
            transaction_id=history.next_id(),
        )
    )


def request_of(command: Command, day: date) -> Request:
    """A change of one or two things."""
    number = command.number
    code = stacks.COVERAGES[number % len(stacks.COVERAGES)]
    car = CARS[number // 7 % len(CARS)]
    conflict = list(OnConflict)[number // 3 % 3]
    answers: dict[str, object] = {f"price_{code}": number * 37 % 200_000} if number % 2 else {}
    match number % 5:
        case 0:
            return Request(day, answers, added_objects=(car,), on_conflict=conflict)
        case 1:
            return Request(day, answers, removed_objects=(car.id,), on_conflict=conflict)
        case 2:
            return Request(day, answers, added_coverages=(Coverage(code),), on_conflict=conflict)
        case 3:
            return Request(day, answers, removed_coverages=(code,), on_conflict=conflict)
        case _:
            return Request(day, {f"price_{code}": number * 101 % 300_000}, on_conflict=conflict)


def planned(history: History, asked: Request) -> list[Stretch]:
    """What is to be priced of a change, as `QuoteEndorsement` has it priced."""
    base, current = history.made, history.made.policy
    endorsement.check_day(current, asked.effective_on, history.today, history.state, BACKDATING)
    asked = change_request.named(asked, current.terms)
    delta = change_request.delta_of(asked, endorsement.risk_on(base.stack, asked.effective_on, EUR))
    change_request.check_conflicts(asked, change_request.conflicts(delta, asked.effective_on, base.standing))
    return endorsement.stretches(base, asked.effective_on, delta, history.now)


def quoted(history: History, stretches: Sequence[Stretch]) -> Quote:
    """The accepted quote of a change, each stretch priced by itself."""
    base, zero = history.made, Money.zero(EUR)
    opening = base.opened(1).change
    assert isinstance(opening, Opening)
    return Quote(
        id=UUID(int=10_000 + len(base.stack)),
        user_id=base.policy.user_id,
        created_by=base.policy.user_id,
        product_code="motor",
        product_version=1,
        time_zone="UTC",
        state="accepted",
        valid_until=history.now + timedelta(days=30),
        starts_on=stretches[0].starts_on,
        ends_on=stretches[-1].ends_on,
        premium=Premium(zero, zero, zero),
        coverages=(),
        plans={},
        kind="endorsement",
        timeline_sequence=endorsement.timeline_sequence(base.stack),
        segments=tuple(
            Priced(each.starts_on, each.ends_on, each.risk, stacks.rate(opening, each.risk)) for each in stretches
        ),
    )


def endorse(history: History, command: Command) -> None:
    """Change what is insured from some day on."""
    issue_change(history, request_of(command, history.any_day(command.day)))


def issue_change(history: History, asked: Request) -> None:
    """Change what is insured: quoted, accepted and issued."""
    quote = quoted(history, planned(history, asked))
    drafted = replace(endorsement.change_in(quote, history.made, history.now), id=history.next_id())
    endorsement.check_day(history.made.policy, drafted.effective_on, history.today, history.state, BACKDATING)
    history.put(contract.put(history.made, drafted))


def cancel(history: History, command: Command) -> None:
    """Cancel for any reason, from any day on, or from the earliest."""
    day = None if command.day % 5 == 0 else history.any_day(command.day)
    cancel_as(history, Wish(REASONS[command.number % len(REASONS)], EVERY_ROLE, day))


def cancel_as(history: History, wish: Wish) -> None:
    """Cancel as somebody wishes."""
    history.put(cancellation.cancel(history.made, wish, (), history.now, transaction_id=history.next_id()))


def rescind(history: History, command: Command) -> None:
    """Take a cancellation back that is still to come."""
    history.put(cancellation.rescind(history.made, EVERY_ROLE, "", history.now, transaction_id=history.next_id()))


def let_lapse(history: History, command: Command) -> None:
    """Let it lapse from a day on that is not long over."""
    asked = Lapse(UUID(int=77), 1, history.today - timedelta(days=command.day % 12) + timedelta(days=2))
    if not lapse.is_needed(history.made, asked, None):
        raise policy.PolicyStateInvalid(state=history.state)
    history.put(lapse.lapse(history.made, asked, "dlq", history.now, transaction_id=history.next_id()))


def reinstate(history: History, command: Command) -> None:
    """Put it back, with a gap or without."""
    asked, nothing = Reinstatement(with_gap=bool(command.number % 2)), Money.zero(EUR)
    history.put(
        reinstatement.reinstate(history.made, asked, nothing, (), history.now, transaction_id=history.next_id())
    )


def reverse(history: History, command: Command) -> None:
    """Take the last transaction of money back."""
    target = reversal.last_of(history.made)
    if target is None:
        raise NotLastTransaction(transaction_id="")
    reversal.check_day(target, "UTC", history.now, by_admin=bool(command.number % 3))
    history.put(reversal.reverse(history.made, target, "apr", history.now, transaction_id=history.next_id()))


def close(history: History, command: Command) -> None:
    """Take a contract back that nobody paid for."""
    after, transaction = policy.close_not_taken(
        history.made.policy,
        history.stack[-1],
        "inv",
        history.made.next_billing_sequence,
        history.now,
        transaction_id=history.next_id(),
    )
    history.add(after, transaction)


def renew(history: History, command: Command) -> None:
    """Begin the next term, with what is insured at the end of the last one."""
    last, zero = history.made.policy.terms[-1], Money.zero(EUR)
    renewal.check_due(history.made.policy, PRODUCT, None, history.now)
    (starts_on, ends_on), risk = renewal.days_of_next(history.made.policy), renewal.risk_of_next(history.made.policy)
    opening = Opening(last.number + 1, starts_on, ends_on, 1, risk)
    quote = Quote(
        id=UUID(int=20_000 + len(history.stack)),
        user_id=history.made.policy.user_id,
        created_by=history.made.policy.user_id,
        product_code="motor",
        product_version=1,
        time_zone="UTC",
        state="accepted",
        valid_until=history.now + timedelta(days=30),
        starts_on=starts_on,
        ends_on=ends_on,
        premium=Premium(zero, zero, zero),
        coverages=risk.coverages,
        plans={},
        kind="renewal",
        answers=risk.answers,
        objects=risk.objects,
        lines=tuple(
            ChargeLine(LineKind.PREMIUM, amount, starts_on, ends_on, coverage_code, "", object_id)
            for (object_id, coverage_code), amount in stacks.rate(opening, risk).items()
        ),
    )
    history.put(renewal.renew(history.made, quote, None, history.now, transaction_id=history.next_id()))


def give_up(history: History, command: Command) -> None:
    """Take a later term back that nobody paid for."""
    term = history.made.policy.terms[-1]
    if term.number == 1 or term.cover_starts_at is not None or term.ended is not None:
        raise policy.PolicyStateInvalid(state=history.state)
    history.put(renewal.not_taken(history.made, term, "inv", history.now, transaction_id=history.next_id()))


def transfer(history: History, command: Command) -> None:
    """Give it to another holder."""
    handover = parties.transfer(
        history.made.policy, UUID(int=500 + command.number), None, None, None, "signed", history.now
    )
    after, transaction = parties.hand_over(
        history.made.policy,
        handover,
        history.stack[-1],
        history.made.next_billing_sequence,
        history.now,
        transaction_id=history.next_id(),
    )
    history.add(after, transaction)


COMMANDS: dict[str, Callable[[History, Command], None]] = {
    "pass_time": pass_time,
    "pay": pay,
    "endorse": endorse,
    "cancel": cancel,
    "rescind": rescind,
    "lapse": let_lapse,
    "reinstate": reinstate,
    "reverse": reverse,
    "close": close,
    "renew": renew,
    "give_up": give_up,
    "transfer": transfer,
}
_OFTEN = ("endorse",) * 5 + ("pass_time",) * 3 + ("cancel", "reinstate") * 2

commands = st.builds(Command, st.sampled_from([*COMMANDS, *_OFTEN]), st.integers(0, 4_000), st.integers(0, 4_000))


def histories(most: int) -> st.SearchStrategy[list[Command]]:
    """What may happen to a policy: its first premium is paid before anything else, or not."""
    paid = st.sampled_from([[Command("pay")]] * 9 + [[]])
    return st.builds(lambda first, rest: first + rest, paid, st.lists(commands, max_size=most))
