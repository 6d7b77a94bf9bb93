"""Values as contracts carry them, and as the domain knows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2

from libs.errors import FieldInvalid
from libs.money import Money


def money_to_proto(money: Money) -> money_pb2.Money:
    """Whole units and billionths."""
    units, nanos = money.to_units()
    return money_pb2.Money(currency_code=money.currency, units=units, nanos=nanos)


def money_from_proto(message: money_pb2.Money) -> Money:
    """`AmountInvalid` when it has more decimal places than its currency, or an unknown currency."""
    return Money.from_units(message.units, message.nanos, message.currency_code)


def date_to_proto(day: date) -> date_pb2.Date:
    """Year, month and day."""
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def date_from_proto(message: date_pb2.Date, field: str) -> date:
    """`FieldInvalid`, naming `field`, when it is no day of the calendar."""
    try:
        return date(message.year, message.month, message.day)
    except ValueError as error:
        raise FieldInvalid(violations={field: "is not a day of the calendar"}) from error


def time_to_proto(moment: datetime) -> Timestamp:
    """A moment."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def time_from_proto(message: Timestamp) -> datetime:
    """A moment, aware and in UTC."""
    return message.ToDatetime(UTC)


def optional(message: Any, field: str) -> Any:
    """The value of a message field, or None when it is not set."""
    return getattr(message, field) if message.HasField(field) else None
