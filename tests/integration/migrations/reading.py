"""Everything that a service's database holds, read through the service as callers read it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import grpc
import psycopg
from psycopg.rows import dict_row

from bazaruto.common.v1 import premium_pb2
from bazaruto.payments.v1 import invoice_pb2, ledger_pb2, payment_pb2
from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import product_pb2, quote_pb2
from bazaruto.users.v1 import customer_pb2, partner_pb2, user_pb2
from libs import ids
from libs.config import DbSettings
from libs.db import Database
from libs.rpc import values
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.policies.house import House as PoliciesHouse
from tests.integration.quotes.conftest import House as QuotesHouse
from tests.integration.users.house import House as UsersHouse
from tests.integration.users.test_accounts import outcome
from tests.support.people import People
from tests.support.sections import section

_POLICIES = """
    SELECT segments.*, policies.*, (
        SELECT count(*) FROM policy_transactions WHERE policy_id = policies.id
    ) AS transactions
    FROM policies JOIN segments ON policy_id = policies.id
"""
_BILLINGS = """
    SELECT account.id, customer_id,
        (SELECT sum(total) FROM applied_transactions WHERE account_id = account.id) AS total,
        (SELECT count(*) FROM schedule_installments JOIN schedules ON schedules.id = schedule_id
         WHERE account_id = account.id) AS parts
    FROM billing_accounts AS account
"""
_INVOICES = """
    SELECT invoices.*, (
        SELECT jsonb_object_agg(kind, amount) FROM (
            SELECT kind, sum(amount) AS amount FROM invoice_items WHERE invoice_id = invoices.id GROUP BY kind
        ) AS sums
    ) AS items FROM invoices
"""

Start = Callable[..., grpc.Channel]


def read_users(start: Start, url: str, people: People) -> None:
    """Every user and every party, as an administrator and the user see them."""
    house, admin = UsersHouse(start, url, people), people.admin()
    for row in _rows(url, "SELECT * FROM users"):
        user = house.get(admin.authorization, ids.encode("usr", row["id"]))
        assert (user.email, user.full_name, user.phone, user.locale) == (
            row["email"], row["full_name"], row["phone"], row["locale"],
        )  # fmt: skip
        assert user_pb2.User.State.Name(user.state) == f"STATE_{row['state'].upper()}"
        assert [user_pb2.User.Role.Name(role) for role in user.roles] == [
            f"ROLE_{role.upper()}" for role in row["roles"]
        ]
        party = customer_pb2.GetCustomerRequest(customer_id=ids.encode("cus", row["id"]))
        is_known = outcome(house.customers.GetCustomer, party, metadata=admin.metadata()) == "ok"
        assert is_known or "customer" not in row["roles"]
    for row in _rows(url, "SELECT * FROM customers"):
        party = customer_pb2.GetCustomerRequest(customer_id=ids.encode("cus", row["id"]))
        own = house.customers.GetCustomer(party, metadata=people.known(row["id"]).metadata())
        assert (own.name, list(own.emails), list(own.phones), own.locale) == (
            row["name"], row["emails"], row["phones"], row["locale"],
        )  # fmt: skip
    list_partners = partner_pb2.ListPartnersRequest(page_size=100)
    partners = house.partners.ListPartners(list_partners, metadata=admin.metadata()).partners
    assert len(partners) == len(_rows(url, "SELECT FROM partners"))


def read_quotes(start: Start, url: str, people: People) -> None:
    """Every product that is offered and every quote, as its customer sees it."""
    database = Database(url, section(DbSettings, max_connections=2), "test-reading")
    database.open()
    with closing(database):
        house = QuotesHouse(start, url, database)
    for row in _rows(url, "SELECT DISTINCT ON (code) code, version FROM products ORDER BY code, version DESC"):
        assert (
            house.products.GetProduct(product_pb2.GetProductRequest(product_code=row["code"])).version == row["version"]
        )
    for row in _rows(url, "SELECT * FROM quotes"):
        quote = house.get(people.known(row["user_id"]), ids.encode("quo", row["id"]))
        over = row["valid_until"] < datetime.now(UTC) and row["state"] in ("quoted", "referred", "accepted")
        assert quote_pb2.Quote.State.Name(quote.state) == f"STATE_{'EXPIRED' if over else row['state'].upper()}"
        steps = 0 if row["state"] == "declined" else len(row["steps"])
        assert (quote.quote_number, len(quote.steps), len(quote.coverages)) == (
            row["number"], steps, len(row["coverages"]),
        )  # fmt: skip
        if row["state"] == "declined" or row["net"] is None:
            assert not quote.HasField("premium")
        else:
            assert _price(quote.premium) == (row["net"], row["tax"], row["fees"])


def read_policies(start: Start, url: str, people: People) -> None:
    """Every policy with its transactions, as its customer sees it."""
    house = PoliciesHouse(start, url)
    for row in _rows(url, _POLICIES):
        metadata, policy_id = people.known(row["user_id"]).metadata(), ids.encode("pol", row["policy_id"])
        policy = house.stub.GetPolicy(policy_pb2.GetPolicyRequest(policy_id=policy_id), metadata=metadata)
        assert policy.policy_number == row["number"]
        assert policy.HasField("activate_time") == (row["activated_at"] is not None)
        assert _price(policy.term.premium) == (row["net"], row["tax"], row["fees"])
        request = policy_pb2.ListPolicyTransactionsRequest(policy_id=policy_id)
        stack = house.stub.ListPolicyTransactions(request, metadata=metadata).transactions
        assert len(stack) == row["transactions"]


def read_payments(start: Start, url: str, people: People) -> None:
    """Every bill, invoice, payment and journal, as their customers and an administrator see them."""
    house = PaymentsHouse(start, url, people)
    for row in _rows(url, _BILLINGS):
        get_billing = invoice_pb2.GetBillingRequest(policy_id=ids.encode("pol", row["id"]))
        billing = house.invoices.GetBilling(get_billing, metadata=people.known(row["customer_id"]).metadata())
        assert sum(_price(billing.premium)) == row["total"]
        assert sum(len(schedule.installments) for schedule in billing.schedules) == row["parts"]
        get_ledger = ledger_pb2.GetPolicyLedgerRequest(policy_id=ids.encode("pol", row["id"]))
        proof = house.ledger.GetPolicyLedger(get_ledger, metadata=people.admin().metadata())
        assert [line for line in proof.lines if values.money_from_proto(line.difference).minor] == []
    for row in _rows(url, _INVOICES):
        invoice = house.get_invoice(people.known(row["user_id"]), ids.encode("inv", row["id"]))
        assert invoice_pb2.Invoice.State.Name(invoice.state) == f"STATE_{row['status'].upper()}"
        assert _price(invoice.premium) == tuple(row["items"].get(kind, 0) for kind in ("premium", "tax", "fee"))
    for row in _rows(url, "SELECT * FROM payments"):
        payment = house.get_payment(people.known(row["user_id"]), ids.encode("pay", row["id"]))
        assert payment_pb2.Payment.State.Name(payment.state) == f"STATE_{row['status'].upper()}"
        assert values.money_from_proto(payment.amount).minor == row["amount"]
    list_journals = ledger_pb2.ListJournalsRequest(page_size=100)
    booked = house.ledger.ListJournals(list_journals, metadata=people.admin().metadata()).journals
    assert len(booked) == len(_rows(url, "SELECT FROM journals"))


READERS: dict[str, Callable[[Start, str, People], None]] = {
    "users": read_users,
    "quotes": read_quotes,
    "policies": read_policies,
    "payments": read_payments,
}


def _rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def _price(premium: premium_pb2.Premium) -> tuple[int, int, int]:
    parts = (values.money_from_proto(part).minor for part in (premium.net, premium.tax, premium.fees))
    net, tax, fees = parts
    return net, tax, fees
