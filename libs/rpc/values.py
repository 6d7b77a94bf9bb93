"""Values as contracts carry them, and as the domain knows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2

from bazaruto.common.v1 import premium_pb2
from libs.errors import FieldInvalid
from libs.money import Money
from libs.premium import Coverage, Premium


def money_to_proto(money: Money) -> money_pb2.Money:
    """Whole units and billionths."""
    units, nanos = money.to_units()
    return money_pb2.Money(currency_code=money.currency, units=units, nanos=nanos)


def money_from_proto(message: money_pb2.Money) -> Money:
    """`AmountInvalid` when it has more decimal places than its currency, or an unknown currency."""
    return Money.from_units(message.units, message.nanos, message.currency_code)


def premium_to_proto(premium: Premium) -> premium_pb2.Premium:
    """The parts of a price, with their total."""
    return premium_pb2.Premium(
        net=money_to_proto(premium.net),
        tax=money_to_proto(premium.tax),
        fees=money_to_proto(premium.fees),
        total=money_to_proto(premium.total),
    )


def premium_from_proto(message: premium_pb2.Premium) -> Premium:
    """The parts of a price; whether they add up to its total is for the rules to say."""
    return Premium(money_from_proto(message.net), money_from_proto(message.tax), money_from_proto(message.fees))


def coverage_to_proto(coverage: Coverage) -> premium_pb2.Coverage:
    """A coverage; a limit or a deductible that it does not have stays unset."""
    return premium_pb2.Coverage(
        coverage_code=coverage.code,
        limit=money_to_proto(coverage.limit) if coverage.limit else None,
        deductible=money_to_proto(coverage.deductible) if coverage.deductible else None,
    )


def coverage_from_proto(message: premium_pb2.Coverage) -> Coverage:
    """A coverage with the limit and the deductible that are set."""
    return Coverage(
        message.coverage_code,
        money_from_proto(message.limit) if message.HasField("limit") else None,
        money_from_proto(message.deductible) if message.HasField("deductible") else None,
    )


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
