"""What a product file says of sold policies arrives in the contract, word for word."""

from __future__ import annotations

from google.protobuf import json_format

from bazaruto.quotes.v1 import product_rules_pb2 as pb
from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.messages.rules import rules_to_proto
from tests.unit.quotes.fleet import fleet
from tests.unit.quotes.samples import small


def test_everything_that_a_file_says_of_sold_policies_is_told() -> None:
    rules = rules_to_proto(read(fleet()))
    assert {field.name for field, _ in rules.ListFields()} == {
        field.name for field in pb.ProductRules.DESCRIPTOR.fields
    }
    told = json_format.MessageToDict(rules)
    assert told["taxes"][0] == {
        "taxCode": "premium_tax",
        "rate": "0.09",
        "validFromDate": {"year": 2026, "month": 1, "day": 1},
        "authority": "PT-AT",
    }
    assert told["taxes"][1] == {"taxCode": "liability_levy", "rate": "0.025", "coverageCodes": ["liability"]}
    assert told["fees"] == [
        {
            "feeCode": "policy_fee",
            "amount": {"currencyCode": "EUR", "units": "12", "nanos": 500000000},
            "occasions": ["new_business", "renewal"],
            "returnedWhenFlat": True,
        },
        {
            "feeCode": "policy_installment",
            "amount": {"currencyCode": "EUR", "units": "1", "nanos": 500000000},
            "occasions": ["installment"],
        },
    ]
    assert told["cover"] == {
        "start": "START_ON_PAYMENT",
        "latestDays": 30,
        "backdatingDays": {"agent": 0, "underwriter": 30},
    }
    assert told["change"] == {"roles": ["customer", "agent"]}
    assert told["cancellations"] == [
        {
            "reason": "insured_request",
            "roles": ["customer", "agent"],
            "method": "METHOD_SHORT_RATE",
            "rate": "0.90",
            "minimumEarned": "0.25",
        },
        {"reason": "cooling_off", "roles": ["customer", "agent"], "method": "METHOD_FLAT", "withinDays": 14},
        {"reason": "non_payment", "roles": ["system", "underwriter"], "method": "METHOD_PRO_RATA"},
        {
            "reason": "sold",
            "roles": ["customer"],
            "method": "METHOD_TABLE",
            "kept": [
                {"days": 1, "share": "0.25"},
                {"days": 75, "share": "0.31"},
                {"days": 338, "share": "0.95"},
            ],
        },
        {"reason": "total_loss", "roles": ["adjuster"], "method": "METHOD_NONE"},
    ]
    assert told["renewal"] == {"offerDays": 45, "auto": True, "coverInGrace": True, "lateDays": 30}
    assert told["reinstatement"] == {"windowDays": 30, "withGap": True, "noLossStatement": True}
    assert told["dunning"] == {
        "graceDays": 30,
        "steps": [
            {"action": "ACTION_RETRY"},
            {"day": 3, "action": "ACTION_REMIND"},
            {"day": 15, "action": "ACTION_NOTICE"},
            {"day": 30, "action": "ACTION_LAPSE"},
        ],
    }
    assert told["billing"] == {
        "billedAheadDays": 7,
        "plans": [{"planCode": "monthly", "installments": 12, "downPayment": "0.20", "feeCode": "policy_installment"}],
    }
    assert told["claims"] == {
        "causes": ["collision", "theft"],
        "coverages": [
            {
                "coverageCode": "liability",
                "insurerShare": "1.00",
                "aggregate": True,
                "initialReserve": {"currencyCode": "EUR", "units": "1500"},
            }
        ],
        "underinsuranceClauses": {"own_damage": "0.80"},
        "reportWithinDays": 30,
        "appealDays": 60,
        "secondAbove": {"currencyCode": "EUR", "units": "5000"},
    }


def test_file_without_rules_of_sold_policies_tells_taxes_fees_and_when_cover_begins() -> None:
    told = json_format.MessageToDict(rules_to_proto(read(small())))
    assert told == {
        "productCode": "small",
        "version": 1,
        "timeZone": "Africa/Maputo",
        "currencyCode": "EUR",
        "taxes": [{"taxCode": "tax", "rate": "0.17"}],  # the small product has them among the steps of its price
        "fees": [
            {
                "feeCode": "fee",
                "amount": {"currencyCode": "EUR", "units": "2", "nanos": 500000000},
                "returnedWhenFlat": True,
            }
        ],
        "cover": {"start": "START_ON_PAYMENT", "latestDays": 60},
    }
