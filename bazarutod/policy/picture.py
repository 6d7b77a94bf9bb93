"""A policy as a picture of a terminal: bars over the months, the stack below them, and the money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

_LABEL = 12  # columns before a bar
_BARS = ("█", "▓")  # of segments that follow each other: told apart without colour, too
_COLOURS = ("cyan", "blue")
_STATES = {"IN_FORCE": "green", "PENDING": "yellow", "SCHEDULED": "yellow", "GAP": "yellow"}
_UNBILLED, _OPEN, _PAID, _CREDIT = "ITEM_UNBILLED", "ITEM_OPEN", "ITEM_PAID", "ITEM_CREDIT"
_WRITTEN = ("ITEM_PREMIUM", "ITEM_RETENTION", "ITEM_TAX", "ITEM_FEES")
_NANO = Decimal(1_000_000_000)
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """Days laid over the columns of a terminal."""

    starts_on: date
    ends_on: date
    width: int

    def column(self, day: date) -> int:
        """The column of a day, within the picture."""
        days = (self.ends_on - self.starts_on).days
        return max(0, min(self.width, (day - self.starts_on).days * self.width // days))

    def bar(self, starts_on: date, ends_on: date, mark: str, line: str) -> str:
        """The line with a bar over some days, of one column at least."""
        start = min(self.column(starts_on), self.width - 1)
        end = max(self.column(ends_on), start + 1)
        return line[:start] + mark * (end - start) + line[end:]


def of_policy(seen: Resource, today: date, width: int) -> RenderableType:
    """All that was read of a policy, within so many columns."""
    parts = [*_head(seen["policy"]), Text(""), *_timeline(seen["terms"], today, width), Text("")]
    parts += _stack(seen["transactions"], width)
    money = list(_money(seen["ledger"], seen["account"]))
    return Group(*parts, *([Text(""), *money] if money else []))


def amount(money: Resource) -> str:
    """`1,234.50 EUR`, with as many places as are needed, and two at least."""
    value = int(money.get("units", 0)) + int(money.get("nanos", 0)) / _NANO
    exact = value.quantize(Decimal("0.01"))
    return f"{exact if exact == value else value.normalize():,} {money.get('currencyCode', '')}".strip()


def _head(policy: Resource) -> Iterator[Text]:
    state = policy["state"].removeprefix("STATE_")
    flags = [flag.removeprefix("FLAG_").replace("_", " ").lower() for flag in policy.get("flags", [])]
    yield Text.assemble(
        (policy["policyNumber"], "bold"),
        f"  {policy['productCode']}  ",
        (state.replace("_", " ").lower(), _STATES.get(state, "red")),
        (f"  {', '.join(flags)}" if flags else "", "yellow"),
    )
    yield Text(f"holder {policy['customerId']}", "dim")
    if policy.get("payerId", policy["customerId"]) != policy["customerId"]:
        yield Text(f"payer {policy['payerId']}", "dim")
    if policy.get("partnerId"):
        yield Text(f"partner {policy['partnerId']}", "dim")


def _timeline(terms: Sequence[Resource], today: date, width: int) -> Iterator[Text]:
    """The months, and below them each term with its segments."""
    axis = Axis(_day(terms[0]["startDate"]), max(_day(term["endDate"]) for term in terms), width - _LABEL)
    yield from _months(axis)
    for term in terms:
        yield from _term(term, axis)
    if axis.starts_on <= today < axis.ends_on:
        yield Text(" " * (_LABEL + axis.column(today)) + "▲ today"[: axis.width - axis.column(today)], "yellow")


def _months(axis: Axis) -> Iterator[Text]:
    """A line with the years, and one with the first letters of the months, where there is room for them."""
    years, months, taken = [" "] * axis.width, [" "] * axis.width, -1
    first = axis.starts_on.replace(day=1)
    for day in _firsts(first, axis.ends_on):
        column = axis.column(max(day, axis.starts_on))
        if column > taken and column < axis.width:
            months[column], taken = f"{day:%b}"[0], column
        year = f"{day.year}"
        if (day.month == 1 or day == first) and column + len(year) <= axis.width and years[max(0, column - 1)] == " ":
            years[column : column + len(year)] = year
    for line in (years, months):
        yield Text(" " * _LABEL + "".join(line).rstrip(), "dim")


def _firsts(day: date, ends_on: date) -> Iterator[date]:
    """The first days of months, from one of them on."""
    while day < ends_on:
        yield day
        day = (day + timedelta(days=32)).replace(day=1)


def _term(term: Resource, axis: Axis) -> Iterator[Text]:
    starts_on, ends_on, segments = _day(term["startDate"]), _day(term["endDate"]), term.get("segments", [])
    line = axis.bar(starts_on, ends_on, "·", " " * axis.width)
    for index, segment in enumerate(segments):
        line = axis.bar(_day(segment["startDate"]), _day(segment["endDate"]), _BARS[index % len(_BARS)], line)
    bar = Text(f"{'term ' + str(term['termNumber']):<{_LABEL}}")
    for mark in line.rstrip():
        bar.append(mark, _COLOURS[_BARS.index(mark)] if mark in _BARS else "dim")
    yield bar
    yield Text(f"{'':<{_LABEL}}{starts_on} to {ends_on}, {amount(term['premium']['total'])}", "dim")
    for index, segment in enumerate(segments):
        days = f"{_day(segment['startDate'])} to {_day(segment['endDate'])}"
        yield Text.assemble(
            f"{'':<{_LABEL}}", (_BARS[index % len(_BARS)], _COLOURS[index % len(_COLOURS)]), f" {days}, net ",
            amount(segment["net"]),
        )  # fmt: skip
    if not segments:
        yield Text(f"{'':<{_LABEL}}no day is covered", "yellow")
    gaps = [(one, other) for one, other in pairwise(segments) if one["endDate"] != other["startDate"]]
    for one, other in gaps:
        yield Text(f"{'':<{_LABEL}}· {_day(one['endDate'])} to {_day(other['startDate'])}: no cover", "yellow")
    if segments and _day(segments[-1]["endDate"]) < ends_on:
        yield Text(f"{'':<{_LABEL}}· cover ends on {_day(segments[-1]['endDate'])}", "yellow")


def _stack(transactions: Sequence[Resource], width: int) -> Iterator[Text]:
    """Each transaction on two lines: what it does when for how much, and who issued it why."""
    yield Text(f"{'':<{_LABEL}}{'issued':<12}{'from':<12}{'what':<18}{'price':>{max(10, width - _LABEL - 42)}}", "dim")
    for transaction in transactions:
        kind = transaction["type"].removeprefix("TYPE_").replace("_", " ").lower()
        change = transaction.get("change")
        price = _signed(change["total"]) if change else ""
        yield Text.assemble(
            (f"{transaction['sequence']:>{_LABEL - 2}}  ", "dim"),
            f"{transaction['issueTime'][:10]:<12}{_day(transaction['effectiveDate'])!s:<12}",
            (f"{kind:<18}", "bold"),
            f"{price:>{max(10, width - _LABEL - 42)}}",
        )
        by = " by ".join(filter(None, [transaction.get("reason", "").replace("_", " "), transaction.get("actor", "")]))
        if by:
            yield Text(f"{'':<{_LABEL}}{by}"[:width], "dim")
        for line in transaction.get("changes", []):
            yield Text(f"{'':<{_LABEL}}{line}"[:width])


def _money(ledger: Sequence[Resource] | None, account: Resource | None) -> Iterator[Text]:
    """What is written, billed and paid, and what falls due next."""
    if ledger is not None:
        by_item = {line["item"]: line["billed"] for line in ledger}
        written = _sum(by_item, _WRITTEN)
        invoiced = _sum(by_item, _WRITTEN, less=_UNBILLED)
        for label, money in (("written", written), ("billed", invoiced)):
            yield _line(label, money)
        for label, item in (("paid", _PAID), ("open", _OPEN), ("credit", _CREDIT)):
            if item in by_item:
                yield _line(label, by_item[item])
        if any(_is_some(line["difference"]) for line in ledger):
            yield Text("billing and ledger differ; see GET /v1/policies/{id}/ledger", "red")
    elif account:
        for label, name in (("open", "amountDue"), ("credit", "credit"), ("balance", "balance")):
            yield _line(label, account[name])
    if account:
        if _is_some(account["pastDue"]):
            yield _line("past due", account["pastDue"], "red")
        due = account.get("nextDueDate")
        falls_due = str(_day(due)) if due else "nothing"
        yield Text(f"{'next due':<{_LABEL}}{falls_due:>18}")


def _line(label: str, money: Resource, style: str = "") -> Text:
    return Text(f"{label:<{_LABEL}}{amount(money):>18}", style)


def _sum(by_item: dict[str, Resource], items: Sequence[str], less: str = "") -> Resource:
    """What some items come to, less another one."""
    nanos, currency = 0, ""
    for name in (*items, less):
        if money := by_item.get(name):
            value = int(money.get("units", 0)) * 10**9 + int(money.get("nanos", 0))
            nanos += -value if name == less else value
            currency = money["currencyCode"]
    sign = -1 if nanos < 0 else 1
    units, rest = divmod(abs(nanos), 10**9)
    return {"currencyCode": currency, "units": sign * units, "nanos": sign * rest}


def _is_some(money: Resource) -> bool:
    return bool(int(money.get("units", 0)) or money.get("nanos", 0))


def _signed(money: Resource) -> str:
    text = amount(money)
    return text if text.startswith("-") else f"+{text}"


def _day(value: Resource) -> date:
    return date(value["year"], value["month"], value["day"])
