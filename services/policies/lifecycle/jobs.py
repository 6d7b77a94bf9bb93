"""What follows from an issued policy, in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

from uuid import UUID

from libs.db import Database
from libs.jobs import GiveUp, JobKind, JobRunner
from libs.rpc import giving_up, idempotency
from services.policies.clients import Payments, Quotes
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.store import policies

OPEN_BILLING = JobKind("policies.open_billing", "payments", endless=True)
BIND_QUOTE = JobKind("policies.bind_quote", "processing", endless=True)
REAP_KEYS = JobKind("policies.reap_idempotency_keys")


def register(runner: JobRunner, database: Database, quotes: Quotes, payments: Payments) -> None:
    """Tell the runner what to do for each kind of job."""

    def load(policy_id: str) -> Policy:
        with database.reading() as session:
            found = policies.find_policy(session, UUID(policy_id))
        if found is None:
            raise GiveUp(f"there is no policy {policy_id}")
        return found

    def open_billing(policy_id: str, installments: int, payment_method: str = "") -> None:
        # Jobs of programs of the revision before bring the token along.
        contract = load(policy_id)
        with database.reading() as session:
            first = policies.list_transactions(session, contract.id, 0, 1)[0]
            token = policies.find_payment_method(session, contract.id) or payment_method
        with giving_up.when_refused():
            payments.open_billing(contract, first, installments, token)
        with database.transaction() as session:
            policies.forget_payment_method(session, contract.id)

    def bind_quote(policy_id: str) -> None:
        with giving_up.when_refused():
            quotes.bind_quote(load(policy_id))

    runner.handle(OPEN_BILLING, open_billing)
    runner.handle(BIND_QUOTE, bind_quote)
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))
