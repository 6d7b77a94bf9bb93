"""Values as contracts carry them: what is written in place is what a constructor makes of the same parts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import uuid_utils
from google.protobuf import struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2
from hypothesis import given
from hypothesis import strategies as st
from typeid import TypeID

from bazaruto.common.v1 import charge_pb2, insured_object_pb2, premium_pb2
from libs import ids
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind, Premium
from libs.rpc import values

DAY = date(2026, 11, 30)
amounts = st.builds(Money, st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD", "UYW"]))


@given(amounts)
def test_amount_is_units_and_billionths_of_one_sign(amount: Money) -> None:
    shown = values.money_to_proto(amount)
    assert shown.units * shown.nanos >= 0
    assert values.money_from_proto(shown) == amount


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Africa/Maputo"), ZoneInfo("America/St_Johns")])))
def test_moment_is_the_timestamp_of_the_library(moment: datetime) -> None:
    stamp = Timestamp()
    try:
        stamp.FromDatetime(moment)
    except (ValueError, OverflowError):
        return  # before year 1 or behind year 9999 in UTC
    assert values.time_to_proto(moment) == stamp


@given(st.uuids())
def test_identifier_is_that_of_the_library(value: UUID) -> None:
    assert ids.encode("pol", value) == str(TypeID.from_uuid(uuid_utils.UUID(bytes=value.bytes), prefix="pol"))


def test_price_with_its_lines_is_written_whole() -> None:
    eur = "EUR"
    line = ChargeLine(LineKind.PREMIUM, Money(-12345, eur), DAY, DAY, "fire", "levy", "car_1", 2, commissionable=True)
    price = premium_pb2.Premium(
        net=money_pb2.Money(currency_code=eur, units=-123, nanos=-450_000_000),
        tax=money_pb2.Money(currency_code=eur),
        fees=money_pb2.Money(currency_code=eur, units=25),
        total=money_pb2.Money(currency_code=eur, units=-98, nanos=-450_000_000),
        lines=[
            charge_pb2.ChargeLine(
                kind=charge_pb2.ChargeLine.KIND_PREMIUM,
                coverage_code="fire",
                charge_code="levy",
                start_date=date_pb2.Date(year=2026, month=11, day=30),
                end_date=date_pb2.Date(year=2026, month=11, day=30),
                amount=money_pb2.Money(currency_code=eur, units=-123, nanos=-450_000_000),
                commissionable=True,
                object_id="car_1",
                term_number=2,
            )
        ],
    )
    assert values.premium_to_proto(Premium(line.amount, Money(0, eur), Money(2500, eur)), [line]) == price


def test_coverage_without_a_limit_leaves_it_unset_and_a_deductible_of_zero_is_there() -> None:
    message = premium_pb2.Coverage()
    values.fill_coverage(message, Coverage("fire", None, Money(0, "EUR")))
    assert message == premium_pb2.Coverage(coverage_code="fire", deductible=money_pb2.Money(currency_code="EUR"))


def test_what_is_insured_has_fields_even_when_nothing_was_asked_of_it() -> None:
    value = struct_pb2.Value
    fields = {"plate": value(string_value=""), "garage": value(bool_value=False), "power": value(number_value=0)}
    car = InsuredObject("car_1", "car", {"plate": "", "garage": False, "power": 0}, "AA")
    assert values.insured_object_to_proto(car) == insured_object_pb2.InsuredObject(
        object_id="car_1", object_code="car", identifier="AA", fields=struct_pb2.Struct(fields=fields)
    )
    assert values.insured_object_to_proto(InsuredObject("driver_1", "driver", {})).HasField("fields")


def test_value_that_a_contract_cannot_carry_is_refused() -> None:
    with pytest.raises(TypeError):
        values.fill_struct(struct_pb2.Struct(), {"day": DAY})
