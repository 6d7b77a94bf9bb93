"""The gRPC face of policies: parse, load, decide, save, reply."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import grpc
import sqlalchemy as sa
from prometheus_client import Counter

from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import audit, ids
from libs.calendar import day_of
from libs.db import Database, violates, when_committed
from libs.errors import ResourceNotFound
from libs.jobs import defer
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page, sequence_number
from services.policies.clients import Quotes
from services.policies.lifecycle.kinds import BIND_QUOTE, OPEN_BILLING, BindQuote, OpenBilling
from services.policies.lifecycle.rules import policy
from services.policies.lifecycle.rules.policy import (
    Policy,
    PolicyAlreadyIssued,
    Segment,
    State,
    Transaction,
    TransactionType,
)
from services.policies.lifecycle.store import policies

_issued = Counter("bazaruto_policies_issued_total", "Policies issued", ["product_type"])
_activated = Counter("bazaruto_policies_activated_total", "Policies put in force", ["product_type"])
_written = Counter("bazaruto_premium_written_minor_units_total", "Net premium of issued policies", ["currency"])

_LOOK_EVERY = 0.25  # seconds between two looks at a watched policy
_ENDS_BEFORE = 0.5  # seconds before its deadline, a watch ends by itself

_STATES = {
    State.PENDING: pb.Policy.STATE_PENDING,
    State.IN_FORCE: pb.Policy.STATE_IN_FORCE,
    State.NOT_TAKEN: pb.Policy.STATE_NOT_TAKEN,
    State.EXPIRED: pb.Policy.STATE_EXPIRED,
}
_TYPES = {
    TransactionType.NEW_BUSINESS: pb.PolicyTransaction.TYPE_NEW_BUSINESS,
    TransactionType.ACTIVATION: pb.PolicyTransaction.TYPE_ACTIVATION,
}


class PolicyServicer(rpc_pb.PolicyServiceServicer):
    """Answers the calls of `PolicyService`."""

    def __init__(self, database: Database, quotes: Quotes) -> None:
        self._database = database
        self._quotes = quotes

    def IssuePolicy(self, request: pb.IssuePolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        quote = calls.owned(self._quotes.get_quote(request.quote_id), "quote")
        plan_code = request.plan_code or policy.DEFAULT_PLAN
        now = datetime.now(UTC)
        try:
            with self._database.transaction() as session:
                idempotency.claim(session)
                if issued := policies.find_policy_of_quote(session, quote.id):
                    raise PolicyAlreadyIssued(policy_id=ids.encode("pol", issued))
                policy.check_issuable(quote, plan_code, now)
                year = day_of(now, quote.time_zone).year
                sequence = policies.next_number(session, policy.prefix_of(quote.product_code), year)
                number = policy.number_for(quote.product_code, year, sequence)
                contract, transaction = policy.issue(
                    quote, plan_code, now, policy_id=ids.new(), transaction_id=ids.new(), number=number
                )
                policies.add_policy(session, contract, transaction)
                if request.payment_method:
                    policies.keep_payment_method(session, contract.id, request.payment_method)
                installments = quote.plans[plan_code]
                defer(session, BIND_QUOTE, BindQuote(contract.id))
                defer(session, OPEN_BILLING, OpenBilling(contract.id, installments))
                audit.record(session, "policy_issued", ids.encode("pol", contract.id), after=_audited(contract, now))
                reply = policy_to_proto(contract, now)
                idempotency.keep(session, reply)
                when_committed(session, lambda: _count_issued(contract))
                return reply
        except sa.exc.IntegrityError as error:
            # Two calls with different keys met; the constraint let one of them through.
            if not violates(error, "policies_quote_unique"):
                raise
            with self._database.reading(fresh=True) as session:
                issued = policies.find_policy_of_quote(session, quote.id)
            raise PolicyAlreadyIssued(policy_id=ids.encode("pol", issued) if issued else "") from error

    def GetPolicy(self, request: pb.GetPolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        found = self._visible(ids.decode("pol", request.policy_id))
        return policy_to_proto(found, datetime.now(UTC))

    def ListPolicies(self, request: pb.ListPoliciesRequest, context: grpc.ServicerContext) -> pb.ListPoliciesResponse:
        caller = calls.caller()
        page = Page.of(request, "policies", caller.subject, request.product_code)
        owner = None if caller.sees_all else caller.user_id
        with self._database.reading() as session:
            found = policies.list_policies(session, owner, request.product_code, page.after_as(UUID), page.fetch)
        shown, token = page.cut(found, key=lambda item: item.id)
        now = datetime.now(UTC)
        return pb.ListPoliciesResponse(policies=[policy_to_proto(item, now) for item in shown], next_page_token=token)

    def WatchPolicy(self, request: pb.WatchPolicyRequest, context: grpc.ServicerContext) -> Iterator[pb.Policy]:
        policy_id = ids.decode("pol", request.policy_id)
        call = calls.current()
        seen: tuple[int, State] | None = None
        while context.is_active() and call.seconds_left > _ENDS_BEFORE:
            found = self._visible(policy_id)
            now = datetime.now(UTC)
            if (found.version, found.state(now)) != seen:
                seen = (found.version, found.state(now))
                yield policy_to_proto(found, now)
            time.sleep(_LOOK_EVERY)

    def ListPolicyTransactions(
        self, request: pb.ListPolicyTransactionsRequest, context: grpc.ServicerContext
    ) -> pb.ListPolicyTransactionsResponse:
        policy_id = ids.decode("pol", request.policy_id)
        page = Page.of(request, "transactions", request.policy_id)
        self._visible(policy_id)
        with self._database.reading() as session:
            transactions = policies.list_transactions(
                session, policy_id, page.after_as(sequence_number) or 0, page.fetch
            )
        shown, token = page.cut(transactions, key=lambda item: item.sequence)
        return pb.ListPolicyTransactionsResponse(
            transactions=[transaction_to_proto(item) for item in shown], next_page_token=token
        )

    def ActivatePolicy(self, request: pb.ActivatePolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        paid_at = values.time_from_proto(request.paid_time)
        with self._database.transaction() as session:
            found = policies.lock_policy(session, ids.decode("pol", request.policy_id))
            if found is None:
                raise ResourceNotFound(resource="policy")
            stack = policies.list_transactions(session, found.id, 0, 100)
            if all(transaction.source_id != request.payment_id for transaction in stack):
                before = _audited(found, paid_at)
                found, transaction = policy.activate(
                    found, len(stack) + 1, request.payment_id, paid_at, transaction_id=ids.new()
                )
                policies.add_transaction(session, found, transaction)
                when_committed(session, _activated.labels(found.product_code).inc)
                audit.record(
                    session,
                    "policy_activated",
                    request.policy_id,
                    before={"state": before["state"]},
                    after={"state": found.state(paid_at), "activated_at": found.activated_at},
                    payment_id=request.payment_id,
                )
        return policy_to_proto(found, datetime.now(UTC))

    def _visible(self, policy_id: UUID) -> Policy:
        return calls.visible(policies.read_policy(self._database, policy_id), "policy")


def _audited(contract: Policy, now: datetime) -> dict[str, object]:
    """What the audit log keeps of a policy."""
    return {
        "number": contract.number,
        "user_id": ids.encode("usr", contract.user_id),
        "quote_id": ids.encode("quo", contract.quote_id),
        "product": f"{contract.product_code} {contract.product_version}",
        "state": contract.state(now),
        "starts_on": contract.term.starts_on,
        "ends_on": contract.term.ends_on,
        "total": contract.term.premium.total,
    }


def _count_issued(contract: Policy) -> None:
    premium = contract.term.premium.net
    _issued.labels(contract.product_code).inc()
    _written.labels(premium.currency).inc(premium.minor)


def policy_to_proto(contract: Policy, now: datetime) -> pb.Policy:
    """The contract as it stands at a moment."""
    term = contract.term
    state = contract.state(now)
    segments = [segment_to_proto(segment) for segment in term.segments]
    return pb.Policy(
        policy_id=ids.encode("pol", contract.id),
        policy_number=contract.number,
        user_id=ids.encode("usr", contract.user_id),
        quote_id=ids.encode("quo", contract.quote_id),
        product_code=contract.product_code,
        product_version=contract.product_version,
        state=_STATES[state],
        term=pb.Term(
            term_number=term.number,
            start_date=values.date_to_proto(term.starts_on),
            end_date=values.date_to_proto(term.ends_on),
            premium=values.premium_to_proto(term.premium),
            segments=segments,
        ),
        coverages=segments[-1].coverages,
        plan_code=contract.plan_code,
        issue_time=values.time_to_proto(contract.issued_at),
        activate_time=values.time_to_proto(contract.activated_at) if contract.activated_at else None,
        etag=f"{contract.version}-{state}",
    )


def segment_to_proto(segment: Segment) -> pb.Segment:
    """A stretch of a term."""
    return pb.Segment(
        segment_number=segment.number,
        start_date=values.date_to_proto(segment.starts_on),
        end_date=values.date_to_proto(segment.ends_on),
        coverages=[values.coverage_to_proto(coverage) for coverage in segment.coverages],
        premium=values.premium_to_proto(segment.premium),
    )


def transaction_to_proto(transaction: Transaction) -> pb.PolicyTransaction:
    """One issued change."""
    return pb.PolicyTransaction(
        transaction_id=ids.encode("ptx", transaction.id),
        sequence=transaction.sequence,
        type=_TYPES[transaction.type],
        effective_date=values.date_to_proto(transaction.effective_on),
        issue_time=values.time_to_proto(transaction.issued_at),
        premium_change=values.money_to_proto(transaction.premium_change),
    )
