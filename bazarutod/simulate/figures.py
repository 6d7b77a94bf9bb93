"""The figures of a month: money from the books, policies and transactions as the API lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from bazarutod.simulate.book import as_date
from bazarutod.simulate.calling import Json
from bazarutod.simulate.money import minor
from bazarutod.simulate.risks import NOT_RENEWED
from bazarutod.simulate.world import Staff

_ENDED = ("STATE_CANCELLED", "STATE_LAPSED", "STATE_NOT_TAKEN", "STATE_PENDING")


@dataclass(frozen=True, slots=True)
class Money:
    """One currency in one month, in hundredths; `arrears`, `unearned` and `cash` as they stand at its end."""

    written: int = 0
    earned: int = 0
    unearned: int = 0
    collected: int = 0
    refunded: int = 0
    cash: int = 0
    arrears: int = 0


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the simulation."""

    month: str
    money: dict[str, Money]
    states: dict[str, int]
    transactions: dict[str, int]
    due: int
    """Policies with cover to the end of a term that ended in the month."""
    renewed: int
    """Those of them that have a next term, paid for where it had to be."""
    covered_before: int
    """Policies in force when the month began."""

    @property
    def lapses(self) -> int:
        """Policies that lapsed in the month."""
        return self.transactions.get("lapse", 0)

    def as_json(self) -> Json:
        """For scripts: amounts in whole units with two places, as text."""
        document: Json = asdict(self)
        document["lapses"] = self.lapses
        for amounts in document["money"].values():
            amounts |= {name: f"{amount / 100:.2f}" for name, amount in amounts.items()}
        return document


@dataclass
class Figures:
    """What was seen at the end of each month so far."""

    months: list[Month] = field(default_factory=list)
    _sums: dict[str, Counter[str]] = field(default_factory=dict)
    """By currency, what the books have summed up by the last month."""
    _etags: dict[str, str] = field(default_factory=dict)
    _stacks: dict[str, list[Json]] = field(default_factory=dict)
    _counted: Counter[str] = field(default_factory=Counter)
    _terms: dict[tuple[str, int], tuple[date, bool]] = field(default_factory=dict)
    """By policy and term: its end, and whether cover lasts until then."""
    _judged: set[tuple[str, int]] = field(default_factory=set)

    def add(self, month: str, ended: date, balance: Json, staff: Staff) -> Month:
        """The month that ended before the day `ended`."""
        before = self.months[-1].states.get("in_force", 0) if self.months else 0
        states = self._look_at_policies(staff)
        types = Counter(_word(item["type"]) for stack in self._stacks.values() for item in stack)
        due, renewed = self._retention(ended)
        added = Month(
            month=month,
            money=self._money(balance, staff),
            states=dict(sorted(states.items())),
            transactions={name: count - self._counted[name] for name, count in sorted(types.items())},
            due=due,
            renewed=renewed,
            covered_before=before,
        )
        self._counted = types
        self.months.append(added)
        return added

    def _look_at_policies(self, staff: Staff) -> Counter[str]:
        states: Counter[str] = Counter()
        for policy in staff.admin.pages("/v1/policies", "policies"):
            policy_id, term = policy["policyId"], policy["term"]
            states[_word(policy["state"])] += 1
            if self._etags.get(policy_id) != policy["etag"]:
                path = f"/v1/policies/{policy_id}/transactions"
                self._stacks[policy_id] = list(staff.admin.pages(path, "transactions"))
                self._etags[policy_id] = policy["etag"]
            lasts = policy["state"] not in _ENDED and policy["productCode"] not in NOT_RENEWED
            self._terms[policy_id, term.get("termNumber", 1)] = as_date(term["endDate"]), lasts
        return states

    def _retention(self, ended: date) -> tuple[int, int]:
        due = renewed = 0
        for (policy_id, number), (end, lasts) in self._terms.items():
            if end >= ended or (policy_id, number) in self._judged:
                continue
            self._judged.add((policy_id, number))
            if lasts:
                due += 1
                renewed += has_term(self._stacks[policy_id], number + 1)
        return due, renewed

    def _money(self, balance: Json, staff: Staff) -> dict[str, Money]:
        accounts = {
            (item["balance"]["currencyCode"], item["accountCode"]): item for item in balance.get("accounts", [])
        }
        arrears: Counter[str] = Counter()
        for account in staff.finance.pages("/v1/billingAccounts", "billingAccounts"):
            arrears[account["currencyCode"]] += minor(account.get("pastDue"))
        money = {}
        for currency in sorted({currency for currency, _ in accounts}):

            def of(code: str, side: str = "balance", currency: str = currency) -> int:
                item: dict[str, Any] = accounts.get((currency, code), {})
                return minor(item.get(side))

            sums = Counter(
                written=of("2000") + of("4000"),
                earned=of("4000"),
                collected=of("1010", "debits"),
                refunded=of("1010", "credits"),
            )
            before = self._sums.get(currency, Counter())
            money[currency] = Money(
                **{name: sums[name] - before[name] for name in ("written", "earned", "collected", "refunded")},
                unearned=of("2000"),
                cash=of("1010"),
                arrears=arrears[currency],
            )
            self._sums[currency] = sums
        return money


def has_term(stack: Sequence[Json], number: int) -> bool:
    """Whether a later term was added by these transactions, and neither taken back nor left unpaid."""
    reversed_ones = {item.get("reversesTransactionId") for item in stack}
    standing = {
        item["type"]
        for item in stack
        if item.get("termNumber") == number and item["transactionId"] not in reversed_ones
    }
    return "TYPE_RENEWAL" in standing and "TYPE_NOT_TAKEN" not in standing


def _word(code: str) -> str:
    """A code of the contracts as people read it: STATE_IN_FORCE is in_force."""
    return code.partition("_")[2].lower()
