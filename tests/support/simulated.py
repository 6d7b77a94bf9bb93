"""What a simulation may report: people try things that are not allowed, and are refused for these reasons only."""

from __future__ import annotations

from typing import Any, Final

_REFUSALS: Final = {
    "pay": {"PAYMENT_DECLINED", "POLICY_LAPSING", "INVOICE_STATE_INVALID"},
    "endorse": {
        "CHANGE_EMPTY",
        "INVALID_FIELD",
        "OBJECT_INVALID",
        "ANSWER_INVALID",
        "EFFECTIVE_DATE_INVALID",
        "POLICY_STATE_INVALID",
        "QUOTE_DECLINED",
    },
    "cancel": {"POLICY_STATE_INVALID", "EFFECTIVE_DATE_INVALID"},
    "rescind": {"POLICY_STATE_INVALID", "REASON_NOT_ALLOWED"},
    "reverse": {"NOT_LAST_TRANSACTION", "POLICY_STATE_INVALID"},
    "refund": {"REFUND_EXCEEDS_CREDIT", "AMOUNT_INVALID"},
    "reinstate": {"ARREARS", "REINSTATEMENT_WINDOW", "POLICY_STATE_INVALID", "GAP_NOT_ALLOWED"},
    "autopay": {"RESOURCE_NOT_FOUND"},
    "refuse_renewal": set(),
    "renew": set(),
}


def assert_only_known_refusals(report: dict[str, Any]) -> None:
    """Every refusal of a report is one that the deed may meet."""
    unknown = [item for item in report["refused"] if item["reason"] not in _REFUSALS[item["deed"]]]
    assert unknown == []
