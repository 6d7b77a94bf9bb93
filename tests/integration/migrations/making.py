"""A platform on which everything happened once, and its databases as files: what a later release will find.

    python -m tests.integration.migrations.making FOLDER

starts today's platform and writes `<service>-<revision>.sql` for each service.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
from sqlalchemy.orm import Session

from bazarutod.demo import RISK
from bazarutod.stack import SERVICES
from libs import ids
from libs.config import DbSettings
from libs.db import Database
from libs.errors import Refused
from libs.identity.scopes import EVERYBODY
from libs.jobs import JobKind, operating
from libs.jobs.nightly import Night, Occurrence, Run, carry_out, night_at, within
from libs.money import Money, total
from services.payments.billing.flows import advancing, applying, invoicing
from services.payments.billing.jobs import earn_together
from services.payments.billing.kinds import RUN_DUNNING
from services.payments.billing.rules.dunning import Action, Dunning, ProductTerms
from services.payments.billing.rules.reconciling import Difference
from services.payments.billing.rules.reconciling import Kind as Between
from services.payments.billing.rules.transaction import Kind, Transaction
from services.payments.billing.store import accounts, differences, product_terms, refunds, transactions
from services.payments.collection.adapters.sandbox import Sandbox
from services.payments.collection.flows import collecting, refunding
from services.payments.collection.store import payments as payments_store
from services.payments.ledger.jobs import close_days
from services.policies.lifecycle.flows import approving, marking, recording, transferring
from services.policies.lifecycle.kinds import OFFER_RENEWALS
from services.policies.lifecycle.rules import approval, parties
from services.policies.lifecycle.rules.delinquency import Delinquency, Standing
from services.policies.lifecycle.rules.loss import LossMark, LossState
from services.policies.lifecycle.rules.renewal import Offered
from services.policies.lifecycle.store import policies as policies_store
from services.policies.lifecycle.store import renewals
from services.quotes.catalogue.adapters.source import dump
from services.quotes.quoting import jobs as quoting
from tests.integration.migrations import state
from tests.support import postgres
from tests.support.admins import admin_headers
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform
from tests.support.sections import section
from tests.unit.quotes.samples import small
from tests.unit.quotes.sold import ANSWERS, OBJECTS

PASSWORD = "baobab-carrinha-47"
HOME, TRAVEL = (
    {
        "productCode": code,
        "answers": ANSWERS[code],
        "objects": [{"objectCode": insured.code, "fields": insured.fields} for insured in OBJECTS[code]],
    }
    for code in ("home", "travel")
)
LATER = timedelta(days=400)
NEVER = datetime(2100, 1, 1, tzinfo=UTC)


def make(platform: Platform) -> None:
    """Let everything happen, and stop the platform: some jobs are left, and a worker that did not take its leave."""
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        ana = _customer(http, locale="pt-MZ", phone="+258841234567")
        bruno = _customer(http, locale="")
        _keep_accounts(platform, http, ana)
        _keep_parties(platform, http, ana)
        _keep_products(platform, http)
        _quote(platform, ana, bruno)
        # Journals are summed when it is said here, so that some are and some are not.
        with psycopg.connect(platform.postgres.url("bazaruto_payments"), autocommit=True) as connection:
            operating.pause(connection, "default")
        with _database(platform, "payments") as payments:
            _pay(payments, ana, bruno)
        with _database(platform, "policies") as policies:
            _fall_behind(policies, ana)
            _claim(policies, ana)
            _hand_over(policies, ana)
            _offer_renewal(policies, ana)
        kept = {"token": "pm_card_ok", "displayName": "blue Visa, 4242", "mandateText": "You may collect."}
        ana.call("POST", "/v1/paymentMethods", kept, key=secrets.token_hex(16))
        # What follows from the last purchases is left to be done, also with the token of a card.
        with psycopg.connect(platform.postgres.url("bazaruto_policies"), autocommit=True) as connection:
            operating.pause(connection, "payments")
        _issue(ana, TRAVEL, paymentMethod="pm_card_ok")
        _issue(bruno, TRAVEL)
    platform.supervisor.stop()
    for service in SERVICES:
        with psycopg.connect(platform.postgres.url(f"bazaruto_{service}"), autocommit=True) as connection:
            _queue(connection, f"{service}.reap_sessions" if service == "users" else f"{service}.reap_idempotency_keys")


def save(platform: Platform, folder: Path) -> list[Path]:
    """Write the databases into a folder."""
    saved = []
    for service in SERVICES:
        ((revision,),) = platform.rows(service, "SELECT version_num FROM alembic_version")
        saved.append(folder / f"{service}-{revision}.sql")
        saved[-1].write_text(state.dump(platform.postgres.url(f"bazaruto_{service}")))
    return saved


def _keep_accounts(platform: Platform, http: httpx.Client, ana: Buyer) -> None:
    """A profile that changed, sessions that were used and ended, a log-in that failed, and a disabled account."""
    ana.call("PATCH", f"/v1/users/{ana.user_id}", {"fullName": "Ana Macuácua"})
    ((email,),) = platform.rows("users", "SELECT email FROM users WHERE locale = 'pt-MZ'")
    first, second = (ana.call("POST", "/v1/auth/login", {"email": email, "password": PASSWORD}) for _ in range(2))
    ana.call("POST", "/v1/auth/refresh", {"refreshToken": first["refreshToken"]})
    ana.call("POST", "/v1/auth/logout", {"refreshToken": second["refreshToken"]})
    ana.call("POST", "/v1/auth/login", {"email": email, "password": "not her password"}, accept=(400, 401))
    carla = _customer(http, locale="en")
    user_id = ids.decode("usr", carla.user_id)
    platform.rows("users", f"UPDATE users SET state = 'disabled' WHERE id = '{user_id}' RETURNING id")


def _keep_parties(platform: Platform, http: httpx.Client, ana: Buyer) -> None:
    """A customer who changed, one for whom somebody acts, a partner with a member, and how far one may decide alone."""
    headers = admin_headers(platform.environment, http)

    def call(verb: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        made = http.request(verb, path, json=body, headers={**headers, "idempotency-key": secrets.token_hex(16)})
        assert made.status_code == 200, made.text
        reply: dict[str, Any] = made.json()
        return reply

    def grant(user_id: str, role: str) -> None:
        call("POST", f"/v1/users/{user_id}:revokeRole", {"role": "ROLE_CUSTOMER"})
        call("POST", f"/v1/users/{user_id}:grantRole", {"role": role})

    address = {"lines": ["Avenida 24 de Julho 7"], "locality": "Maputo", "countryCode": "MZ"}
    firm = call("POST", "/v1/customers", {"customer": {"kind": "KIND_ORGANISATION", "name": "Sitoe Lda"}})["customer"]
    call("PATCH", f"/v1/customers/{firm['customerId']}", {"address": address, "taxId": "400123456"})
    call("POST", f"/v1/customers/{firm['customerId']}:linkUser", {"userId": ana.user_id})
    broker = {"kind": "KIND_BROKER", "name": "Corretores do Índico", "email": "geral@example.com"}
    partner_id = call("POST", "/v1/partners", {"partner": broker})["partnerId"]
    call("PUT", f"/v1/partners/{partner_id}/products", {"productCodes": ["motor"]})
    call("POST", f"/v1/customers/{firm['customerId']}:assignPartner", {"partnerId": partner_id})
    agent, underwriter = _customer(http, locale="en"), _customer(http, locale="en")
    grant(agent.user_id, "ROLE_AGENT")
    call("POST", f"/v1/partners/{partner_id}:addMember", {"userId": agent.user_id})
    grant(underwriter.user_id, "ROLE_UNDERWRITER")
    call("PUT", f"/v1/users/{underwriter.user_id}/authority", {"underwritingLevel": 3})


def _keep_products(platform: Platform, http: httpx.Client) -> None:
    """A draft that nobody has published, and an analysis of what it would do."""
    headers = admin_headers(platform.environment, http)
    for path, body in (("", {"definition": dump(small())}), ("/1:analyze", {})):
        keyed = {**headers, "idempotency-key": secrets.token_hex(16)}
        made = http.post(f"/v1/products/small/versions{path}", json=body, headers=keyed)
        assert made.status_code == 200, made.text


def _quote(platform: Platform, ana: Buyer, bruno: Buyer) -> None:
    """Quotes in every state; those that are bound come with the purchases."""
    taxi, young = _car(use="taxi"), _car(claims_5_years=5, claim_free_years=0)
    _ask(ana, RISK)
    _accept(bruno, TRAVEL)
    with _database(platform, "quotes") as quotes:
        assert quoting.expire_quotes(quotes, datetime.now(UTC) + LATER) == 2
    quoted, referred, declined = (_ask(ana, risk) for risk in (RISK, taxi, young))
    states = [quote["state"] for quote in (quoted, referred, declined, _ask(ana, RISK, draft=True))]
    assert states == ["STATE_QUOTED", "STATE_REFERRED", "STATE_DECLINED", "STATE_DRAFT"]
    ana.call("PATCH", f"/v1/quotes/{quoted['quoteId']}", {"coverages": []})
    # Only the policies service makes quotes with segments.
    platform.rows(
        "quotes",
        "INSERT INTO quote_segments SELECT id, revision, 1, starts_on, ends_on, answers, coverages, objects, true, net,"
        " tax, fees, lines FROM quotes WHERE state = 'quoted' RETURNING number",
    )
    _accept(bruno, HOME)


def _pay(payments: Database, ana: Buyer, bruno: Buyer) -> None:
    """Purchases whose first premium was collected, paid, declined, given up, not paid in time, or is on its way."""
    unpaid = bruno.invoice_of(_issue(bruno, TRAVEL))
    _change(payments, unpaid["policyId"], Kind.NOT_TAKEN, Fraction(-1))
    monthly = ana.in_force(_issue(ana, RISK, planCode="monthly", paymentMethod="pm_card_ok"))
    with payments.transaction() as session:
        now = datetime.now(UTC)
        invoicing.issue_due_invoices(
            session, ids.decode("pol", monthly["policyId"]), now.date() + timedelta(days=32), now
        )
        # And it is not paid in time.
        for code, version in product_terms.find_unknown(session):
            product_terms.add(session, ProductTerms(code, version, Dunning.of(30, [(0, Action.REMIND)])))
        later = now + timedelta(days=40)
        account_id = ids.decode("pol", monthly["policyId"])
        advancing.prepare(session, [account_id], later, payments_store.find_is_open)(account_id)
        earn_together(session, [account_id], night_at(later))
    close_days(payments)
    annual = _issue(ana, HOME, beneficiaries=[{"name": "Teresa", "shareBasisPoints": 10000}])
    bill = ana.invoice_of(annual)
    declined = {"paymentMethod": "pm_card_declined"}
    ana.call("POST", f"/v1/invoices/{bill['invoiceId']}:pay", declined, key=secrets.token_hex(16), accept=(400, 409))
    ana.pay(bill)
    ana.in_force(annual)
    _change(payments, annual["policyId"], Kind.ENDORSEMENT, Fraction(-1, 10))
    _refund(payments, ana)
    bruno.invoice_of(_issue(bruno, TRAVEL, paymentMethod="pm_card_insufficient_funds"))
    waiting = bruno.invoice_of(_issue(bruno, TRAVEL))
    given_up = ids.decode("pay", bruno.pay(waiting, "pm_card_action")["paymentId"])
    collecting.settle(payments, Sandbox(payments), given_up, 0, datetime.now(UTC) + LATER)
    bruno.pay(waiting, "pm_card_action")
    assert ana.pay(ana.invoice_of(_issue(ana, TRAVEL)), "pm_card_timeout")["state"] == "STATE_PROCESSING"
    policy_id = ids.decode("pol", annual["policyId"])
    _park(payments, RUN_DUNNING, policy_id)
    with payments.transaction() as session:
        differences.save(session, {policy_id: [Difference(Between.NOT_APPLIED, "sequence", 3, 2)]}, now)


def _refund(payments: Database, ana: Buyer) -> None:
    """A policy that was paid and cancelled, whose money is on its way back."""
    cancelled = _issue(ana, TRAVEL)
    ana.pay(ana.invoice_of(cancelled))
    _change(payments, cancelled["policyId"], Kind.CANCELLATION, Fraction(-1, 2))
    with payments.reading() as session:
        (refund, *_) = refunds.list_of(session, EVERYBODY, ids.decode("pol", cancelled["policyId"]), (), None, 1)
    refunding.release(payments, Sandbox(payments), refund.id, datetime.now(UTC))


def _fall_behind(policies: Database, ana: Buyer) -> None:
    """A policy on which something was past due, as far as policies knows; and something that waits for a decision."""
    policy_id = ids.decode("pol", ana.call("GET", "/v1/policies?state=STATE_IN_FORCE")["policies"][0]["policyId"])
    now = datetime.now(UTC)
    standing, none = Standing.SETTLED, Money(0, "EUR")
    with policies.transaction() as session:
        wanted = approval.Wanted(approval.Action.REINSTATE_POLICY, reason="Nothing happened.")
        approving.ask(session, policy_id, wanted, ana.user_id, "underwriter", now)
        recording.record_delinquency(session, policy_id, Delinquency(ids.new(), 1, standing, none, None, None), now)


def _claim(policies: Database, ana: Buyer) -> None:
    """A loss that was claimed and denied."""
    policy_id = ids.decode("pol", ana.call("GET", "/v1/policies?state=STATE_IN_FORCE")["policies"][0]["policyId"])
    loss = LossMark(ids.encode("clm", ids.new()), "", "roadside", datetime.now(UTC), LossState.DENIED)
    with policies.transaction() as session:
        marking.mark(session, policy_id, loss)


def _hand_over(policies: Database, ana: Buyer) -> None:
    """A policy for which somebody else owes from now on."""
    policy_id = ids.decode("pol", ana.call("GET", "/v1/policies?state=STATE_IN_FORCE")["policies"][0]["policyId"])
    now = datetime.now(UTC)
    with policies.transaction() as session:
        policy = policies_store.lock(session, policy_id)
        assert policy is not None
        handover = parties.pay_by(policy, ids.new(), now)
        transferring.save(session, transferring.decide(session, policy, handover, "operator", now), handover)


def _offer_renewal(policies: Database, ana: Buyer) -> None:
    """A policy whose next term is offered, and begun when it is asked for; and a run that could not offer another."""
    policy = ana.call("GET", "/v1/policies?state=STATE_IN_FORCE")["policies"][-1]  # that of the car
    policy_id, now = ids.decode("pol", policy["policyId"]), datetime.now(UTC)
    preference = {"preference": "RENEWAL_PREFERENCE_MANUAL", "reason": "I compare."}
    ana.call("POST", f"/v1/policies/{policy['policyId']}:setRenewalPreference", preference)
    quote_id = ids.decode("quo", _ask(ana, TRAVEL)["quoteId"])
    with policies.transaction() as session:
        offer = Offered(2, quote_id, 1, now.date() + timedelta(days=365), now)
        renewals.save_offer(session, policy_id, offer)
    _park(policies, OFFER_RENEWALS, policy_id)


def _park(database: Database, kind: JobKind[Occurrence], item_id: UUID) -> None:
    """A nightly run to its end, which could not do one thing."""
    night = night_at(datetime.now(UTC) + timedelta(days=1))  # that of today is over

    def list_due(session: Session, night: Night, after: UUID, limit: int) -> list[UUID]:
        return [item_id] if item_id > after else []

    def refuse(session: Session, item_id: UUID, night: Night) -> None:
        raise Refused

    run = Run(kind, list_due, lambda session, night: 1, within(refuse))
    carry_out(database, run, Occurrence(int(night.at.timestamp())), night)


def _change(payments: Database, policy: str, kind: Kind, share: Fraction) -> None:
    """Apply another transaction of a policy, whose lines are a share of those of the first one."""
    policy_id, now = ids.decode("pol", policy), datetime.now(UTC)
    with payments.transaction() as session:
        account = accounts.find(session, policy_id)
        assert account is not None
        lines = [
            replace(line, amount=line.amount.times(share))
            for line in transactions.list_lines(session, policy_id, account.currency)
        ]
        change = Transaction(
            ids.new(), policy_id, 2, kind, 1, account.customer_id, account.payer_id, None, "any", 1, account.time_zone,
            now.date(), now.date() + timedelta(days=365), now.date(), now,
            total((line.amount for line in lines), account.currency), tuple(lines),
        )  # fmt: skip
        applying.apply(session, change, b"", now, lambda result: b"")


def _queue(connection: psycopg.Connection, name: str) -> None:
    """Jobs of one kind in every state, one of them in the hands of a worker that is gone."""

    def defer(queue: str) -> Any:
        job = "ROW(%s, %s, 0, NULL, NULL, '{}', CASE %s WHEN 'default' THEN %s END)::procrastinate_job_to_defer_v1"
        return _one(connection, f"SELECT (procrastinate_defer_jobs_v1(ARRAY[{job}]))[1]", queue, name, queue, NEVER)

    worker = _one(connection, "SELECT worker_id FROM procrastinate_register_worker_v1()")
    fetch = "SELECT id FROM procrastinate_fetch_job_v2(ARRAY['now'], %s)"
    finish = "SELECT procrastinate_finish_job_v1(%s, %s::procrastinate_job_status, false)"
    for status in ("failed", "aborted", "succeeded"):
        job = defer("now")
        assert _one(connection, fetch, worker) == job
        _one(connection, finish, job, status)
    retried, running, cancelled = defer("now"), defer("now"), defer("default")
    assert [_one(connection, fetch, worker) for _ in range(2)] == [retried, running]
    _one(connection, "SELECT procrastinate_retry_job_v2(%s, %s, NULL, NULL, NULL)", retried, NEVER)
    operating.cancel(connection, ids=[cancelled, running])
    connection.execute("UPDATE procrastinate_jobs SET queue_name = 'default' WHERE queue_name = 'now'")
    periodic = "SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, %s, 0, '', %s, '{}')"
    _one(connection, periodic, name, int(NEVER.timestamp()))
    operating.pause(connection, "mailers")


def _customer(http: httpx.Client, **fields: str) -> Buyer:
    email = f"{secrets.token_hex(4)}@example.com"
    customer = Buyer(http)
    account = {"email": email, "password": PASSWORD, "fullName": "Bruno Dias", **fields}
    customer.call("POST", "/v1/users", account, key=secrets.token_hex(16))
    tokens = customer.call("POST", "/v1/auth/login", {"email": email, "password": PASSWORD})
    customer.token, customer.user_id = tokens["accessToken"], tokens["userId"]
    return customer


def _car(**answers: Any) -> dict[str, Any]:
    return {**RISK, "answers": {**RISK["answers"], **answers}}


def _accept(customer: Buyer, risk: dict[str, Any]) -> str:
    quote_id = _ask(customer, risk)["quoteId"]
    # Most without a key: what is kept for it takes more space than all else.
    customer.call("POST", f"/v1/quotes/{quote_id}:accept", {}, key=secrets.token_hex(16) if risk is HOME else "")
    return str(quote_id)


def _ask(customer: Buyer, risk: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return customer.call("POST", "/v1/quotes", {"risk": risk, **fields}, key=secrets.token_hex(16))


def _issue(customer: Buyer, risk: dict[str, Any], **fields: Any) -> dict[str, Any]:
    # The same house and the same travellers are insured again and again.
    body = {"quoteId": _accept(customer, risk), "allowDuplicate": True, **fields}
    return customer.call("POST", "/v1/policies", body, key=secrets.token_hex(16))


@contextmanager
def _database(platform: Platform, service: str) -> Iterator[Database]:
    database = Database(platform.settings.services[service].db_url, section(DbSettings, max_connections=2), "making")
    database.open()
    with closing(database):
        yield database


def _one(connection: psycopg.Connection, statement: str, *values: object) -> Any:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    postgres.begin_run()
    try:
        with running_platform() as running:
            make(running)
            for path in save(running, Path(sys.argv[1])):
                print(path)
    finally:
        postgres.end_run()
