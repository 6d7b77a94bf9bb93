"""The calls of `PolicyService`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

import grpc
import sqlalchemy as sa

from bazaruto.policies.v1 import policy_pb2 as pb
from bazaruto.policies.v1 import policy_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.calendar import day_of, start_of
from libs.db import violates
from libs.errors import FieldInvalid, ResourceNotFound
from libs.rpc import calls, idempotency, values
from libs.rpc.errors import NeighbourUnavailable, RemoteError
from libs.rpc.interceptors import DeadlineTooShort
from libs.rpc.pages import Page, sequence_number
from services.policies.lifecycle.flows import issuing
from services.policies.lifecycle.flows.issuing import Wish
from services.policies.lifecycle.messages.beneficiaries import beneficiaries_from_proto
from services.policies.lifecycle.messages.policies import (
    cover_to_proto,
    filter_from_proto,
    flag_from_proto,
    policy_to_proto,
    preview_to_proto,
    segments_to_proto,
    state_from_proto,
    transaction_to_proto,
)
from services.policies.lifecycle.rules.policy import DEFAULT_PLAN, Policy
from services.policies.lifecycle.rules.quote import PolicyAlreadyIssued, Quote
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.servicer.beneficiaries import BeneficiaryCalls
from services.policies.lifecycle.servicer.cancellations import CancellationCalls
from services.policies.lifecycle.servicer.delinquencies import DelinquencyCalls
from services.policies.lifecycle.servicer.endorsements import EndorsementCalls
from services.policies.lifecycle.servicer.neighbours import NeighbourCalls
from services.policies.lifecycle.servicer.parties import PartyCalls
from services.policies.lifecycle.servicer.reinstating import ReinstatementCalls
from services.policies.lifecycle.store import delinquencies, policies, timelines, transactions
from services.policies.lifecycle.store.standing import find_condition

_LOOK_EVERY = 0.25  # seconds between two looks at a watched policy
_HISTORY = 100  # how often beneficiaries were set before, as far as it is shown
_ENDS_BEFORE = 0.5  # seconds before its deadline, a watch ends by itself


class PolicyServicer(
    BeneficiaryCalls,
    CancellationCalls,
    DelinquencyCalls,
    EndorsementCalls,
    NeighbourCalls,
    PartyCalls,
    ReinstatementCalls,
    rpc_pb.PolicyServiceServicer,
):
    """Answers the calls of `PolicyService`."""

    def IssuePolicy(self, request: pb.IssuePolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        quote = calls.owned(self._quotes.get_quote(request.quote_id), "quote")
        wish = self._wish(request, quote)
        now = clock.now()
        if request.validate_only:
            with self._database.transaction() as session:
                return preview_to_proto(issuing.preview(session, quote, wish, now), now)
        try:
            with self._database.transaction() as session:
                idempotency.claim(session)
                contract = issuing.issue(session, quote, wish, now)
                reply = policy_to_proto(contract, now)
                idempotency.keep(session, reply)
                return reply
        except sa.exc.IntegrityError as error:
            # Two calls with different keys met; the constraint let one of them through.
            if not violates(error, "policies_quote_unique"):
                raise
            with self._database.reading(fresh=True) as session:
                policy_id = policies.find_of_quote(session, quote.id)
            raise PolicyAlreadyIssued(policy_id=ids.encode("pol", policy_id) if policy_id else "") from error

    def _wish(self, request: pb.IssuePolicyRequest, quote: Quote) -> Wish:
        payer_id = ids.decode("cus", request.payer_id, "payer_id") if request.payer_id else quote.user_id
        if payer_id != quote.user_id:
            self._users.check_customer(request.payer_id)
        method = request.payment_method_id
        if method and self._payments.payer_of(method) != payer_id:
            raise FieldInvalid(violations={"payment_method_id": "is none of the payer's"})
        return Wish(
            request.plan_code or DEFAULT_PLAN,
            payer_id,
            calls.caller().subject,
            calls.scope(),
            request.payment_method,
            request.allow_duplicate,
            beneficiaries_from_proto(request.beneficiaries),
            ids.decode("pmt", method) if method else None,
        )

    def GetPolicy(self, request: pb.GetPolicyRequest, context: grpc.ServicerContext) -> pb.Policy:
        policy_id = ids.decode("pol", request.policy_id)
        moment = values.time_from_proto(request.effective_time) if request.HasField("effective_time") else clock.now()
        if not request.HasField("known_time"):
            return policy_to_proto(self._visible(policy_id), moment)
        self._visible(policy_id)  # as it is now: who held it once is shown nothing of it any more
        known = policies.find_as_known(self._database, policy_id, values.time_from_proto(request.known_time))
        if known is None:
            raise ResourceNotFound(resource="policy")
        return policy_to_proto(known, moment)

    def ListPolicies(self, request: pb.ListPoliciesRequest, context: grpc.ServicerContext) -> pb.ListPoliciesResponse:
        criteria, state = policies.Filter(**filter_from_proto(request)), state_from_proto(request)
        flag, now = flag_from_proto(request), clock.now()
        page = Page.of(request, "policies", calls.caller().subject, criteria, (state, flag))
        with self._database.reading() as session:
            read = partial(policies.list_of, session, calls.scope(), criteria, find_condition(now, state, flag))
            shown, token = page.fill(
                page.after_as(UUID), read, lambda item: item.stands(now, state, flag), key=lambda item: item.id
            )
        return pb.ListPoliciesResponse(policies=[policy_to_proto(item, now) for item in shown], next_page_token=token)

    def WatchPolicy(self, request: pb.WatchPolicyRequest, context: grpc.ServicerContext) -> Iterator[pb.Policy]:
        policy_id = ids.decode("pol", request.policy_id)
        call = calls.current()
        last_shown: tuple[int, State] | None = None
        while context.is_active() and call.seconds_left > _ENDS_BEFORE:
            contract = self._visible(policy_id)
            now = clock.now()
            if (contract.version, contract.state(now)) != last_shown:
                last_shown = (contract.version, contract.state(now))
                yield policy_to_proto(contract, now)
            time.sleep(_LOOK_EVERY)

    def ListPolicyTransactions(
        self, request: pb.ListPolicyTransactionsRequest, context: grpc.ServicerContext
    ) -> pb.ListPolicyTransactionsResponse:
        policy_id = ids.decode("pol", request.policy_id)
        page = Page.of(request, "transactions", request.policy_id)
        currency = self._visible(policy_id).terms[0].currency
        with self._database.reading() as session:
            stack = transactions.list_behind(session, policy_id, page.after_as(sequence_number) or 0, page.fetch)
        shown, token = page.cut(stack, key=lambda item: item.sequence)
        return pb.ListPolicyTransactionsResponse(
            transactions=[transaction_to_proto(item, currency) for item in shown], next_page_token=token
        )

    def GetPolicyTransaction(
        self, request: pb.GetPolicyTransactionRequest, context: grpc.ServicerContext
    ) -> pb.TransactionResult:
        policy_id, transaction_id = ids.decode("pol", request.policy_id), ids.decode("ptx", request.transaction_id)
        contract = self._visible(policy_id)
        with self._database.reading() as session:
            transaction = transactions.find(session, policy_id, transaction_id)
            if transaction is None:
                raise ResourceNotFound(resource="transaction")
            numbers = timelines.find_written(session, transaction_id) or [transaction.term_number]
            before = policies.find_at_sequence(session, policy_id, transaction.sequence - 1)
            after = policies.find_at_sequence(session, policy_id, transaction.sequence)
        earlier, later = (
            [term for term in version.terms if term.number in numbers] if version else [] for version in (before, after)
        )
        return pb.TransactionResult(
            transaction=transaction_to_proto(transaction, contract.terms[0].currency),
            before=segments_to_proto(earlier if contract.has_timeline else ()),
            after=segments_to_proto(later),
        )

    def GetCover(self, request: pb.GetCoverRequest, context: grpc.ServicerContext) -> pb.Cover:
        moment = values.time_from_proto(request.at_time) if request.HasField("at_time") else clock.now()
        contract = self._visible(ids.decode("pol", request.policy_id))
        with self._database.reading() as session:
            delinquency = delinquencies.find(session, contract.id)
        return cover_to_proto(
            contract, moment, self._paid_until(contract), delinquency, self._insured(contract, moment)
        )

    def _insured(self, contract: Policy, moment: datetime) -> Policy:
        """The policy with what was insured at a moment: a change of that day covers from when it was issued on, unless
        it was dated back on a later day.
        """
        day, segment = day_of(moment, contract.time_zone), contract.segment_at(moment)
        if segment is None or segment.starts_on != day:
            return contract
        with self._database.reading() as session:
            until = start_of(day + timedelta(days=1), contract.time_zone)
            if not transactions.find_changed(session, contract.id, day, moment, until):
                return contract
        return policies.find_as_known(self._database, contract.id, moment) or contract

    def _paid_until(self, contract: Policy) -> date | None:
        """The first day that is not paid for; None where payments does not say: cover is told all the same."""
        try:
            return contract.paid_until(self._payments.next_due_on(contract.id))
        except (RemoteError, NeighbourUnavailable, DeadlineTooShort):
            return None
