"""Values as contracts carry them, and as the domain knows them.

A message that is handed to the constructor of another one is written out and read again, once for each level that it
lies deep. So there are two forms of what replies are made of: `…_to_proto` makes a message, `fill_…` writes into
one that is part of another already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2

from bazaruto.common.v1 import charge_pb2, insured_object_pb2, premium_pb2
from libs.errors import FieldInvalid
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium

_LINE_KINDS = {
    LineKind.PREMIUM: charge_pb2.ChargeLine.KIND_PREMIUM,
    LineKind.TAX: charge_pb2.ChargeLine.KIND_TAX,
    LineKind.FEE: charge_pb2.ChargeLine.KIND_FEE,
    LineKind.RETENTION: charge_pb2.ChargeLine.KIND_RETENTION,
}
_LINE_KINDS_BY_PROTO = {proto: kind for kind, proto in _LINE_KINDS.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def money_to_proto(money: Money) -> money_pb2.Money:
    """Whole units and billionths."""
    message = money_pb2.Money()
    fill_money(message, money)
    return message


def fill_money(message: money_pb2.Money, money: Money) -> None:
    """Whole units and billionths."""
    message.currency_code = money.currency
    message.units, message.nanos = money.to_units()


def money_from_proto(message: money_pb2.Money) -> Money:
    """`AmountInvalid` when it has more decimal places than its currency, or an unknown currency."""
    return Money.from_units(message.units, message.nanos, message.currency_code)


def premium_to_proto(premium: Premium, lines: Iterable[ChargeLine] = ()) -> premium_pb2.Premium:
    """The parts of a price, with their total, and the lines that they are made of."""
    message = premium_pb2.Premium()
    fill_premium(message, premium, lines)
    return message


def fill_premium(message: premium_pb2.Premium, premium: Premium, lines: Iterable[ChargeLine] = ()) -> None:
    """The parts of a price, with their total, and the lines that they are made of."""
    fill_money(message.net, premium.net)
    fill_money(message.tax, premium.tax)
    fill_money(message.fees, premium.fees)
    fill_money(message.total, premium.total)
    for line in lines:
        fill_charge_line(message.lines.add(), line)


def premium_from_proto(message: premium_pb2.Premium) -> Premium:
    """The parts of a price; whether they add up to its total is for the rules to say."""
    return Premium(money_from_proto(message.net), money_from_proto(message.tax), money_from_proto(message.fees))


def charge_line_to_proto(line: ChargeLine) -> charge_pb2.ChargeLine:
    """One amount of a price."""
    message = charge_pb2.ChargeLine()
    fill_charge_line(message, line)
    return message


def fill_charge_line(message: charge_pb2.ChargeLine, line: ChargeLine) -> None:
    """One amount of a price."""
    message.kind = _LINE_KINDS[line.kind]
    message.coverage_code = line.coverage_code
    message.charge_code = line.charge_code
    fill_date(message.start_date, line.starts_on)
    fill_date(message.end_date, line.ends_on)
    fill_money(message.amount, line.amount)
    message.commissionable = line.commissionable
    message.object_id = line.object_id
    message.term_number = line.term_number


def charge_line_from_proto(message: charge_pb2.ChargeLine, field: str) -> ChargeLine:
    """One amount of a price. `FieldInvalid`, naming `field`, when its kind or its days are none."""
    if message.kind not in _LINE_KINDS_BY_PROTO:
        raise FieldInvalid(violations={f"{field}.kind": "is not the kind of a line"})
    return ChargeLine(
        kind=_LINE_KINDS_BY_PROTO[message.kind],
        amount=money_from_proto(message.amount),
        starts_on=date_from_proto(message.start_date, f"{field}.start_date"),
        ends_on=date_from_proto(message.end_date, f"{field}.end_date"),
        coverage_code=message.coverage_code,
        charge_code=message.charge_code,
        object_id=message.object_id,
        term_number=message.term_number,
        commissionable=message.commissionable,
    )


def fill_coverage(message: premium_pb2.Coverage, coverage: Coverage) -> None:
    """A coverage; a limit or a deductible that it does not have stays unset."""
    message.coverage_code = coverage.code
    if coverage.limit:
        fill_money(message.limit, coverage.limit)
    if coverage.deductible:
        fill_money(message.deductible, coverage.deductible)


def coverage_from_proto(message: premium_pb2.Coverage) -> Coverage:
    """A coverage with the limit and the deductible that are set."""
    return Coverage(
        message.coverage_code,
        money_from_proto(message.limit) if message.HasField("limit") else None,
        money_from_proto(message.deductible) if message.HasField("deductible") else None,
    )


def insured_object_to_proto(insured: InsuredObject) -> insured_object_pb2.InsuredObject:
    """One thing or person that is insured."""
    message = insured_object_pb2.InsuredObject()
    fill_insured_object(message, insured)
    return message


def fill_insured_object(message: insured_object_pb2.InsuredObject, insured: InsuredObject) -> None:
    """One thing or person that is insured."""
    message.object_id = insured.id
    message.object_code = insured.code
    message.identifier = insured.identifier
    fill_struct(message.fields, insured.fields)


def insured_object_from_proto(message: insured_object_pb2.InsuredObject) -> InsuredObject:
    """One thing or person that is insured, as it was sent: its fields are for the rules of the product to check."""
    return InsuredObject(message.object_id, message.object_code, struct_from_proto(message.fields), message.identifier)


def fill_struct(message: struct_pb2.Struct, fields: Mapping[str, object]) -> None:
    """Values by name: truth values, numbers and text."""
    message.SetInParent()  # so that one without values is there, too
    values = message.fields
    for name, value in fields.items():
        if isinstance(value, str):
            values[name].string_value = value
        elif isinstance(value, bool):
            values[name].bool_value = value
        elif isinstance(value, int | float):
            values[name].number_value = value
        else:
            raise TypeError(f"{value!r} is neither text nor a number nor a truth value")


def struct_from_proto(message: struct_pb2.Struct) -> dict[str, object]:
    """Values by name, as they were sent; whole numbers are whole."""
    return {name: _whole(value) for name, value in message.items()}


def _whole(value: object) -> object:
    """JSON has doubles only: those that are whole numbers are whole numbers here."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def date_to_proto(day: date) -> date_pb2.Date:
    """Year, month and day."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def fill_date(message: date_pb2.Date, day: date) -> None:
    """Year, month and day."""
    message.year, message.month, message.day = day.year, day.month, day.day


def date_from_proto(message: date_pb2.Date, field: str) -> date:
    """`FieldInvalid`, naming `field`, when it is no day of the calendar."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError as error:
        raise FieldInvalid(violations={field: "is not a day of the calendar"}) from error


def time_to_proto(moment: datetime) -> Timestamp:
    """A moment."""
    message = Timestamp()
    fill_time(message, moment)
    return message


def fill_time(message: Timestamp, moment: datetime) -> None:
    """A moment."""
    since = moment - _EPOCH
    message.seconds = since.days * 86400 + since.seconds
    message.nanos = since.microseconds * 1000


def time_from_proto(message: Timestamp) -> datetime:
    """A moment, aware and in UTC."""
    return message.ToDatetime(UTC)


def optional(message: Any, field: str) -> Any:
    """The value of a message field, or None when it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def optional_time(message: Any, field: str) -> datetime | None:
    """The moment that a field holds, or None when it is not set. `FieldInvalid` when it is none."""
    stamp = optional(message, field)
    try:
        return time_from_proto(stamp) if stamp is not None else None
    except (ValueError, OverflowError) as error:
        raise FieldInvalid(violations={field: "is not a moment"}) from error


def optional_date(message: Any, field: str) -> date | None:
    """The day that a field holds, or None when it is not set. `FieldInvalid` when it is none."""
    day = optional(message, field)
    return date_from_proto(day, field) if day is not None else None
