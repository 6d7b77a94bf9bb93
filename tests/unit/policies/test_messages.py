"""Policies as the contract carries them: the reply is what constructors make of the same parts, byte for byte."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from google.protobuf import struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type import date_pb2, money_pb2

from bazaruto.common.v1 import charge_pb2, insured_object_pb2, premium_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject, LineKind
from services.policies.lifecycle.messages.policies import policy_to_proto
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.term import Risk, Segment, Term

FIRST, CHANGED, LAST = date(2026, 1, 1), date(2026, 7, 2), date(2027, 1, 1)  # 182 and 183 days
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)


def money(units: int, nanos: int = 0) -> money_pb2.Money:
    return money_pb2.Money(currency_code="EUR", units=units, nanos=nanos)


def day(value: date) -> date_pb2.Date:
    return date_pb2.Date(year=value.year, month=value.month, day=value.day)


def line(
    kind: charge_pb2.ChargeLine.Kind.ValueType, starts_on: date, ends_on: date, **fields: object
) -> charge_pb2.ChargeLine:
    days = {"start_date": day(starts_on), "end_date": day(ends_on)}
    return charge_pb2.ChargeLine(kind=kind, term_number=1, **days, **fields)  # type: ignore[arg-type]


def test_policy_with_a_change_is_shown_with_each_stretch_and_its_price() -> None:
    fire, cellar = Coverage("fire", Money(100000, "EUR")), Coverage("cellar", None, Money(0, "EUR"))
    home = InsuredObject("home_1", "home", {"floors": 2, "brick": True, "street": "Rua"}, "Rua 1")
    before = Segment(FIRST, CHANGED, Risk({}, (home,), (fire,)), {("home_1", "fire"): Money(36500, "EUR")})
    after = Segment(CHANGED, LAST, Risk({"cellar": True}, (), (fire, cellar)), {
        ("home_1", "fire"): Money(36500, "EUR"), ("", "cellar"): Money(3650, "EUR"),
    })  # fmt: skip
    tax = ChargeLine(LineKind.TAX, Money(1001, "EUR"), FIRST, FIRST, charge_code="levy")
    term = Term(1, FIRST, LAST, "EUR", 3, (before, after), NOON, charges=(tax,))
    owner, policy_id = UUID(int=2), UUID(int=1)
    policy = Policy(
        policy_id, "HOM-1", owner, owner, owner, None, UUID(int=3), "home", 2, "annual", "UTC", NOON, (term,), NOON
    )
    fire_shown = premium_pb2.Coverage(coverage_code="fire", limit=money(1000))
    cellar_shown = premium_pb2.Coverage(coverage_code="cellar", deductible=money(0))
    fields = {
        "floors": struct_pb2.Value(number_value=2),
        "brick": struct_pb2.Value(bool_value=True),
        "street": struct_pb2.Value(string_value="Rua"),
    }
    home_shown = insured_object_pb2.InsuredObject(
        object_id="home_1", object_code="home", identifier="Rua 1", fields=struct_pb2.Struct(fields=fields)
    )
    noon = Timestamp(seconds=int(NOON.timestamp()))
    end = Timestamp(seconds=int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()))
    kinds = charge_pb2.ChargeLine
    expected = pb.Policy(
        policy_id=ids.encode("pol", policy_id),
        policy_number="HOM-1",
        user_id=ids.encode("usr", owner),
        customer_id=ids.encode("cus", owner),
        payer_id=ids.encode("cus", owner),
        quote_id=ids.encode("quo", UUID(int=3)),
        product_code="home",
        product_version=3,
        time_zone="UTC",
        state=pb.Policy.STATE_IN_FORCE,
        plan_code="annual",
        coverages=[fire_shown, cellar_shown],
        issue_time=noon,
        activate_time=noon,
        cover_start_time=noon,
        cover_end_time=end,
        etag="1-in_force",
        term=pb.Term(
            term_number=1,
            start_date=day(FIRST),
            end_date=day(LAST),
            premium=premium_pb2.Premium(
                net=money(383, 300_000_000),
                tax=money(10, 10_000_000),
                fees=money(0),
                total=money(393, 310_000_000),
                lines=[
                    line(
                        kinds.KIND_PREMIUM, FIRST, LAST,
                        coverage_code="fire", object_id="home_1", amount=money(365), commissionable=True,
                    ),
                    line(
                        kinds.KIND_PREMIUM, FIRST, LAST,
                        coverage_code="cellar", amount=money(18, 300_000_000), commissionable=True,
                    ),
                    line(kinds.KIND_TAX, FIRST, FIRST, charge_code="levy", amount=money(10, 10_000_000)),
                ],
            ),
            segments=[
                pb.Segment(
                    segment_number=1, term_number=1,
                    start_date=day(FIRST),
                    end_date=day(CHANGED),
                    coverages=[fire_shown],
                    objects=[home_shown],
                    answers=struct_pb2.Struct(),
                    net=money(182),
                    lines=[
                        pb.SegmentLine(
                            coverage_code="fire", object_id="home_1", full_term_amount=money(365), amount=money(182)
                        )
                    ],
                ),
                pb.Segment(
                    segment_number=2, term_number=1,
                    start_date=day(CHANGED),
                    end_date=day(LAST),
                    coverages=[fire_shown, cellar_shown],
                    answers=struct_pb2.Struct(fields={"cellar": struct_pb2.Value(bool_value=True)}),
                    net=money(201, 300_000_000),
                    lines=[
                        pb.SegmentLine(
                            coverage_code="fire", object_id="home_1", full_term_amount=money(365), amount=money(183)
                        ),
                        pb.SegmentLine(
                            coverage_code="cellar",
                            full_term_amount=money(36, 500_000_000),
                            amount=money(18, 300_000_000),
                        ),
                    ],
                ),
            ],
        ),
    )  # fmt: skip
    shown = policy_to_proto(policy, NOON)
    assert shown == expected
    assert shown.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
