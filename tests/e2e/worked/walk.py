"""A walk over HTTP: buy, pay, preview a change, make it, wait until it is applied, and look at all that came of it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from tests.e2e.worked import products
from tests.support.buyer import Buyer

Json = dict[str, Any]
_ACCOUNTS = {"KIND_PREMIUM": "2000", "KIND_TAX": "2100", "KIND_FEE": "4100", "KIND_RETENTION": "4110"}
_REFUNDS_PAYABLE = "2310"


def money(amount: Json | None) -> Decimal:
    """An amount as a number; nothing is zero."""
    amount = amount or {}
    return Decimal(amount.get("units", 0)) + Decimal(amount.get("nanos", 0)) / 10**9


def on(day: date) -> Json:
    """A day as the API has it."""
    return {"year": day.year, "month": day.month, "day": day.day}


def day(shown: Json) -> date:
    """A day that the API shows."""
    return date(**shown)


def by_kind(lines: Iterable[Json]) -> dict[str, Decimal]:
    """What lines add up to by their kinds, without those that come to nothing."""
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line["kind"]] += money(line["amount"])  # type: ignore[assignment]
    return {kind: Decimal(amount) for kind, amount in sums.items() if amount}


@dataclass(frozen=True)
class Told:
    """What came of a change: as it was told before, and as it stands when payments applied it."""

    change: dict[str, Decimal]
    """By kinds of lines."""
    refund: Decimal
    planned: list[Decimal]
    account: Json


class Walk:
    """One policy of a product of the worked cases."""

    def __init__(self, buyer: Buyer, finance: Buyer) -> None:
        self._buyer, self._finance = buyer, finance
        self.policy: Json = {}

    @property
    def path(self) -> str:
        """Where the policy is."""
        return f"/v1/policies/{self.policy['policyId']}"

    def buy(
        self, product: str, starts_on: date | None, plan: str = "annual", *, pays: bool = True, **answers: Any
    ) -> None:
        """Quote, accept, issue and pay it, from today where no day is said, and wait until cover is given."""
        risk = {"productCode": product, "answers": answers} | ({"startDate": on(starts_on)} if starts_on else {})
        quote = self.post("/v1/quotes", {"risk": risk})
        self.post(f"/v1/quotes/{quote['quoteId']}:accept", {})
        self.policy = self.post("/v1/policies", {"quoteId": quote["quoteId"], "planCode": plan})
        if pays:
            self._buyer.pay(self._buyer.invoice_of(self.policy))
            self._buyer.wait(self.path, lambda policy: policy["state"] in ("STATE_IN_FORCE", "STATE_SCHEDULED"))

    def post(self, path: str, body: Json) -> Json:
        """Send a call of the customer."""
        return self._buyer.call("POST", path, body, key=secrets.token_hex(16))

    def refusal(self, path: str, body: Json) -> str:
        """The reason for which a call of the customer is refused."""
        headers = {"authorization": f"Bearer {self._buyer.token}", "idempotency-key": secrets.token_hex(16)}
        answer = self._buyer.http.post(path, json=body, headers=headers)
        assert answer.is_error, answer.text
        return str(next(item["reason"] for item in answer.json()["error"]["details"] if "reason" in item))

    def cancel(self, reason: str, from_day: date) -> Told:
        """Cancel it from a day."""
        return self.change(f"{self.path}:cancel", {"reason": reason, "effectiveDate": on(from_day)})

    def rescind(self) -> Told:
        """Take its cancellation back."""
        return self.change(f"{self.path}:rescindCancellation", {})

    def endorse(self, from_day: date, **answers: Any) -> Told:
        """Change its answers from a day, by an accepted quote."""
        asked = self.post(f"{self.path}:quoteEndorsement", {"effectiveDate": on(from_day), "answers": answers})
        self.post(f"/v1/quotes/{asked['quote']['quoteId']}:accept", {})
        return self.change(f"{self.path}:endorse", {"quoteId": asked["quote"]["quoteId"]})

    def change(self, path: str, body: Json) -> Told:
        """Preview a change, make it, and compare what was told with refund, schedule, bill and books behind it."""
        preview = self.post(path, {**body, "validateOnly": True})
        assert not preview.get("billingPending")
        done = self.post(path, body)
        assert done["change"] == preview["change"]
        transaction_id = done["transaction"]["transactionId"]
        self._check_postings(transaction_id, preview)
        told = Told(
            by_kind(preview["change"]["lines"]),
            money(preview.get("refund")),
            [money(part["premium"]["total"]) for part in preview.get("installments", [])],
            self.account(),
        )
        self._check_billing(transaction_id, preview, told)
        return told

    def account(self) -> Json:
        """Its billing account."""
        page = self._buyer.call("GET", f"/v1/billingAccounts?policyId={self.policy['policyId']}")
        return dict(page["billingAccounts"][0])

    def billing(self) -> Json:
        """What it costs, what was billed and what is planned."""
        return self._buyer.call("GET", f"{self.path}/billing")

    def planned(self) -> list[Json]:
        """The installments that are not billed, in the order they fall due."""
        return [part for part in self.billing()["installments"] if part["state"] == "STATE_PLANNED"]

    def refunds(self) -> list[Json]:
        """Its refunds, the newest first."""
        path = f"/v1/refunds?billingAccountId={self.account()['billingAccountId']}"
        return list(self._buyer.call("GET", path).get("refunds", []))

    def paid_back(self) -> list[Json]:
        """Its payments, when what was to be paid out of them has arrived."""
        path = f"/v1/refunds?billingAccountId={self.account()['billingAccountId']}"
        self._buyer.wait(path, lambda page: all(item["state"] == "STATE_SUCCEEDED" for item in page["refunds"]))
        page = self._buyer.call("GET", "/v1/payments?pageSize=100")
        invoices = self._buyer.call("GET", f"/v1/invoices?policyId={self.policy['policyId']}")["invoices"]
        ids = {item["invoiceId"] for item in invoices}
        return [item for item in page["payments"] if item["invoiceId"] in ids]

    def _check_postings(self, transaction_id: str, preview: Json) -> None:
        path = f"/v1/ledger/journals?policyId={self.policy['policyId']}&pageSize=100"
        page = self._finance.wait(
            path, lambda page: any(item["sourceId"] == transaction_id for item in page.get("journals", []))
        )
        credited: Counter[str] = Counter()
        for journal in page["journals"]:
            for posting in journal["postings"] if journal["sourceId"] == transaction_id else ():
                sign = 1 if posting["side"] == "SIDE_CREDIT" else -1
                credited[posting["accountCode"]] += sign * money(posting["amount"])  # type: ignore[assignment]
        lines = by_kind(preview["change"]["lines"])
        assert {kind: credited[account] for kind, account in _ACCOUNTS.items() if credited[account]} == lines
        assert credited[_REFUNDS_PAYABLE] == money(preview.get("refund"))
        ledger = self._finance.call("GET", f"{self.path}/ledger")
        assert [money(line["difference"]) for line in ledger["lines"]] == [0] * len(ledger["lines"])

    def _check_billing(self, transaction_id: str, preview: Json, told: Told) -> None:
        keys = ("termNumber", "installmentNumber", "dueDate")
        shown = [{key: part[key] for key in keys} for part in self.planned()]
        assert shown == [{key: part[key] for key in keys} for part in preview.get("installments", [])]
        assert [money(part["premium"]["total"]) for part in self.planned()] == told.planned
        made = [item for item in self.refunds() if item["transactionId"] == transaction_id]
        expected = [(told.refund, preview["refundNotBeforeDate"])] if told.refund else []
        assert [(money(item["amount"]), item["notBeforeDate"]) for item in made] == expected
        assert money(told.account["amountDue"]) == money(preview.get("balanceDue"))
        policy = self._buyer.call("GET", self.path)
        assert money(self.billing()["premium"]["total"]) == money(policy["term"]["premium"]["total"])
        invoices = self._buyer.call("GET", f"/v1/invoices?policyId={policy['policyId']}&pageSize=100")["invoices"]
        due = sum(money(item["amountDue"]) for item in invoices if item["state"] != "STATE_VOID")
        assert due == money(told.account["amountDue"])


def product(currency: str) -> str:
    """The product of a currency; that of euros has a tax of 17 %."""
    return products.code_of(currency, is_taxed=currency == "EUR")
