"""What a simulation may report: people try things that are not allowed, and are refused for these reasons only."""

from __future__ import annotations

from typing import Any, Final

_REFUSALS: Final = {
    "pay": {
        "PAYMENT_DECLINED",
        "PAYMENT_IN_PROGRESS",  # of another invoice of the account, whose outcome is not known yet
        "POLICY_LAPSING",
        "INVOICE_NOT_PAYABLE",
    },
    "endorse": {
        "CHANGE_EMPTY",
        "INVALID_FIELD",  # a coverage that a later change adds, an object that is gone
        "OBJECT_INVALID",
        "EFFECTIVE_DATE_INVALID",
        "ACCESS_DENIED",  # an underwriter, of a product that only customers change
        "BACKDATING",
    },
    "cancel": {"POLICY_STATE_INVALID", "EFFECTIVE_DATE_INVALID", "NOTICE_TOO_SHORT", "REASON_NOT_ALLOWED"},
    "rescind": {"POLICY_STATE_INVALID", "REASON_NOT_ALLOWED"},
    "reverse": {"NOT_LAST_TRANSACTION", "POLICY_STATE_INVALID"},
    "refund": {"CREDIT_TOO_SMALL", "METHOD_EXPIRED"},
    "reinstate": {"ARREARS", "REINSTATEMENT_WINDOW", "POLICY_STATE_INVALID"},
    "refuse_renewal": {"POLICY_STATE_INVALID", "TERM_EXISTS"},
    "renew": {"RENEWAL_NOT_DUE", "DO_NOT_RENEW", "TERM_EXISTS", "POLICY_STATE_INVALID"},
}


def assert_only_known_refusals(report: dict[str, Any]) -> None:
    """Every refusal of a report is one that the deed may meet."""
    unknown = [item for item in report["refused"] if item["reason"] not in _REFUSALS.get(item["deed"], ())]
    assert unknown == []
