"""Who calls, and what they own: customers who registered and logged in over HTTP, and policies in force.

One policy is bought; the others are made of its rows by SQL, in the database of whichever tree it is: each column that
holds an id gets another one by the same rule in every table, so that they still refer to each other.
"""

from __future__ import annotations

import random
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import psycopg
import uuid_utils
from psycopg import sql
from typeid import TypeID

from tests.performance.buying import QUOTE_PATH, quote_request
from tests.performance.load import CannotMeasure
from tests.performance.platform import Platform
from tests.performance.trees import clean_environment

CUSTOMERS = 100
POLICIES = 1_000
RARE = "travel"
"""Product of the few policies that are spread evenly among all the others."""
RARE_POLICIES = 20
_PASSWORD = "a long enough secret"
_PATIENCE = 60.0  # seconds until the policy that is bought is in force
# Characters of an id that are the number of the copy, with the dash within. It stands where a UUIDv7 has its time: ids
# that differ at their end alone are all one to a GiST index, which weighs their halves as doubles.
_TIME_OF_ID = 13


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody with a token."""

    user_id: UUID
    token: str

    @property
    def shown_id(self) -> str:
        """The id as callers see it."""
        return _shown("usr", self.user_id)


@dataclass(frozen=True, slots=True)
class Callers:
    """The customers of a platform, and the policy that all others are copies of."""

    customers: Sequence[Customer]
    template: UUID
    policies: int
    names_objects: bool
    """Whether a quote of this platform's names what is insured: commits before it did not."""

    def reads(self, count: int = POLICIES) -> list[dict[str, Any]]:
        """Reads of so many policies by their owners, in a random order that is the same in every run."""
        numbers = random.Random(1).sample(range(1, self.policies), min(count, self.policies - 1))
        return [
            {"method": "GET", "path": f"/v1/policies/{self.policy_id(number)}", "token": self.owner(number).token}
            for number in numbers
        ]

    def owner(self, number: int) -> Customer:
        """Whose a copy is."""
        return self.customers[number % len(self.customers)]

    def policy_id(self, number: int) -> str:
        """The id of a copy, as callers see it."""
        copy = UUID(f"{number:012x}{str(self.template)[_TIME_OF_ID:]}")
        return _shown("pol", copy)


def prepare(platform: Platform, policies: int = POLICIES) -> Callers:
    """Register customers, buy a policy, and copy it until there are so many, the bought one among them."""
    with httpx.Client(base_url=platform.url, timeout=60) as http, ThreadPoolExecutor(4) as threads:
        customers = list(threads.map(lambda _: _register(http), range(CUSTOMERS)))
        names_objects = _names_objects(http, customers[0])
        template = buy(http, customers[0], names_objects)
    callers = Callers(customers, template, policies, names_objects)
    with platform.connect("policies") as connection:
        copy(connection, template, [customer.user_id for customer in customers], 1, policies - 1)
    return callers


def administrator(platform: Platform) -> str:
    """The token of a new administrator."""
    email = f"{secrets.token_hex(8)}@example.com"
    command = [platform.tree.command, "create-admin", email, "--password", _PASSWORD, "--folder", str(platform.folder)]
    settings = {key: value for key, value in platform.environment("users").items() if key.startswith("BAZARUTO_")}
    finished = subprocess.run(
        command, cwd=platform.tree.folder, env=clean_environment(settings), capture_output=True, text=True, timeout=60
    )
    if finished.returncode:
        raise CannotMeasure(f"there is no administrator: {finished.stderr.strip()}")
    with httpx.Client(base_url=platform.url, timeout=60) as http:
        return _log_in(http, email).token


def _register(http: httpx.Client) -> Customer:
    email = f"{secrets.token_hex(8)}@example.com"
    account = {"email": email, "password": _PASSWORD, "fullName": "Somebody Measured"}
    http.post("/v1/users", json=account).raise_for_status()
    return _log_in(http, email)


def _log_in(http: httpx.Client, email: str) -> Customer:
    answer = http.post("/v1/auth/login", json={"email": email, "password": _PASSWORD}).raise_for_status().json()
    return Customer(_uuid(answer["userId"]), answer["accessToken"])


def _names_objects(http: httpx.Client, customer: Customer) -> bool:
    headers = {"authorization": f"Bearer {customer.token}"}
    product = http.get("/v1/products/motor", headers=headers).raise_for_status().json()
    return bool(product.get("objectTypes"))


def buy(http: httpx.Client, customer: Customer, names_objects: bool) -> UUID:
    """A motor policy in force."""
    quote = post(http, customer, QUOTE_PATH, quote_request(names_objects))
    post(http, customer, f"/v1/quotes/{quote['quoteId']}:accept", {})
    policy = post(http, customer, "/v1/policies", {"quoteId": quote["quoteId"], "paymentMethod": "pm_card_ok"})
    path, deadline = f"/v1/policies/{policy['policyId']}", time.monotonic() + _PATIENCE
    while _call(http, customer, "GET", path)["state"] != "STATE_IN_FORCE":
        if time.monotonic() > deadline:
            raise CannotMeasure(f"a policy was not in force after {_PATIENCE:.0f} s")
        time.sleep(0.1)
    return _uuid(policy["policyId"])


def post(http: httpx.Client, customer: Customer, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a customer is answered. `CannotMeasure` when that is an error."""
    return _call(http, customer, "POST", path, body)


def shown_policy(policy_id: UUID) -> str:
    """The id of a policy as callers see it."""
    return _shown("pol", policy_id)


def _call(
    http: httpx.Client, customer: Customer, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {customer.token}", "idempotency-key": secrets.token_hex(16)}
    answer = http.request(method, path, json=body, headers=headers)
    if answer.is_error:
        raise CannotMeasure(f"{method} {path}: {answer.status_code} {answer.text}")
    return dict(answer.json())


def copy(connection: psycopg.Connection, template: UUID, owners: Sequence[UUID], first: int, last: int) -> None:
    """Add copies of a policy with all the rows that belong to it, numbered from `first` to `last`."""
    rare_every = max(1, (last + 1) // RARE_POLICIES)
    _copy_rows(connection, template, owners, (first, last, rare_every), tables_of_policies(connection))


def like_copies(template: UUID) -> str:
    """The pattern of the ids of the copies of a policy, as text; its own has it, too."""
    return f"%{str(template)[_TIME_OF_ID:]}"


def copy_billing(connection: psycopg.Connection, template: UUID, owners: Sequence[UUID], first: int, last: int) -> None:
    """Add what payments knows of the same copies, as if it had been billed and nobody had paid."""
    _copy_rows(connection, template, owners, (first, last, last), _tables_of_billing(connection))


def _copy_rows(
    connection: psycopg.Connection,
    template: UUID,
    owners: Sequence[UUID],
    numbers: tuple[int, int, int],
    tables: Iterator[tuple[str, list[tuple[str, str]], sql.Composable]],
) -> None:
    first, last, rare_every = numbers
    values = {
        "template": template, "owners": list(owners), "first": first, "last": last, "rare": RARE, "every": rare_every
    }  # fmt: skip
    connection.execute("SET session_replication_role = replica")  # past triggers and checks: the rows are known good
    for table, columns, is_template in tables:
        chosen = [_copied(table, name, kind) for name, kind in columns]
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns)
        connection.execute(
            sql.SQL(
                "INSERT INTO {table} ({names}) SELECT {chosen} FROM {table} original,"
                " generate_series(%(first)s::bigint, %(last)s) AS copies (copy) WHERE {is_template}"
            ).format(
                table=sql.Identifier(table),
                names=names,
                chosen=sql.SQL(", ").join(chosen),
                is_template=is_template,
            ),
            values,
        )
    connection.execute("SET session_replication_role = origin")
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")


def tables_of_policies(
    connection: psycopg.Connection,
) -> Iterator[tuple[str, list[tuple[str, str]], sql.Composable]]:
    """The table of policies and those that refer to it or to its transactions, with their columns and types, and the
    condition of the rows that belong to the policy that is copied.
    """
    columns = connection.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns AS one WHERE table_schema = 'public'"
        " AND is_generated = 'NEVER' AND (table_name = 'policies' OR EXISTS (SELECT FROM information_schema.columns"
        " WHERE table_schema = 'public' AND table_name = one.table_name"
        " AND column_name IN ('policy_id', 'transaction_id'))) ORDER BY table_name, ordinal_position"
    ).fetchall()
    for table in dict.fromkeys(table for table, _, _ in columns):
        own = [(name, kind) for owner, name, kind in columns if owner == table]
        yield table, own, _is_template(table, [name for name, _ in own])


_APPLIED = "transaction_id IN (SELECT transaction_id FROM applied_transactions WHERE account_id = %(template)s)"
_UNPAID = "policy_id = %(template)s AND rule IN ('policy_changed', 'invoice_issued')"
_BILLING = {
    "billing_accounts": "id = %(template)s",
    "applied_transactions": "account_id = %(template)s",
    "charge_lines": _APPLIED,
    "timeline_lines": _APPLIED,
    "schedules": "account_id = %(template)s",
    "schedule_installments": "schedule_id IN (SELECT id FROM schedules WHERE account_id = %(template)s)",
    "invoices": "policy_id = %(template)s",
    "invoice_items": "invoice_id IN (SELECT id FROM invoices WHERE policy_id = %(template)s)",
    "journals": _UNPAID,
    "postings": f"journal_id IN (SELECT id FROM journals WHERE {_UNPAID})",
}


def _tables_of_billing(
    connection: psycopg.Connection,
) -> Iterator[tuple[str, list[tuple[str, str]], sql.Composable]]:
    """The tables of payments, likewise."""
    for table, condition in _BILLING.items():
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
            " AND is_generated = 'NEVER' AND table_name = %s ORDER BY ordinal_position",
            [table],
        ).fetchall()
        yield table, [(name, kind) for name, kind in columns], sql.SQL(condition)


def _is_template(table: str, columns: Sequence[str]) -> sql.Composable:
    """The condition of the rows that belong to the policy that is copied."""
    if table == "policies":
        return sql.SQL("original.id = %(template)s")
    if "policy_id" in columns:
        return sql.SQL("original.policy_id = %(template)s")
    return sql.SQL("original.transaction_id IN (SELECT id FROM policy_transactions WHERE policy_id = %(template)s)")


def _copied(table: str, column: str, kind: str) -> sql.Composable:
    """What a copy has in a column."""
    name = sql.Identifier(column)
    if column in ("user_id", "created_by", "payer_id", "customer_id"):
        return sql.SQL("(%(owners)s::uuid[])[copy %% cardinality(%(owners)s::uuid[]) + 1]")
    if kind == "uuid":
        return sql.SQL("(lpad(to_hex(copy), 12, '0') || substr(original.{}::text, {}))::uuid").format(
            name, sql.Literal(_TIME_OF_ID + 1)
        )
    if (table, column) in (("policies", "number"), ("invoices", "number"), ("journals", "source_id")):
        return sql.SQL("original.{} || '-' || copy").format(name)
    if table == "policies" and column == "product_code":
        return sql.SQL("CASE copy %% %(every)s WHEN 0 THEN %(rare)s ELSE original.product_code END")
    return sql.SQL("original.{}").format(name)


def _shown(prefix: str, value: UUID) -> str:
    return str(TypeID.from_uuid(uuid_utils.UUID(bytes=value.bytes), prefix=prefix))


def _uuid(text: str) -> UUID:
    return UUID(bytes=TypeID.from_string(text).uuid.bytes)
