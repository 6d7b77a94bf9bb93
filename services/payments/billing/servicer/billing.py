"""The gRPC face of billing accounts."""

from __future__ import annotations

from uuid import UUID

import grpc

from bazaruto.payments.v1 import billing_pb2 as pb
from bazaruto.payments.v1 import billing_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.calendar import day_of
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.money import Money
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.billing.flows import applying, changing
from services.payments.billing.messages.accounts import account_to_proto, account_with, etag_of, statement_to_proto
from services.payments.billing.messages.transactions import fingerprint_of, result_to_proto, transaction_from_proto
from services.payments.billing.rules import account
from services.payments.billing.rules.transaction import check_lines
from services.payments.billing.store import accounts, statements


class BillingServicer(rpc_pb.BillingServiceServicer):
    """Answers the calls of `BillingService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ApplyPolicyTransaction(
        self, request: pb.ApplyPolicyTransactionRequest, context: grpc.ServicerContext
    ) -> pb.AppliedTransaction:
        change, fingerprint = transaction_from_proto(request), fingerprint_of(request)
        check_lines(change.lines)
        with self._database.transaction() as session:
            reply = applying.apply(
                session, change, fingerprint, clock.now(), lambda result: result_to_proto(result).SerializeToString()
            )
        return pb.AppliedTransaction.FromString(reply)

    def PreviewPolicyTransaction(
        self, request: pb.PreviewPolicyTransactionRequest, context: grpc.ServicerContext
    ) -> pb.AppliedTransaction:
        change = transaction_from_proto(request.transaction)
        check_lines(change.lines)
        with self._database.reading(fresh=True) as session:
            return result_to_proto(applying.preview(session, change, clock.now()))

    def GetNextDueDate(
        self, request: pb.GetNextDueDateRequest, context: grpc.ServicerContext
    ) -> pb.GetNextDueDateResponse:
        with self._database.reading() as session:
            sums = accounts.find_sums(session, ids.decode("pol", request.policy_id), clock.now())
        if sums is None:
            raise ResourceNotFound(resource="billing account")
        due_on = sums.next_due_on
        return pb.GetNextDueDateResponse(
            next_due_date=values.date_to_proto(due_on) if due_on else None,
            past_due_amount=values.money_to_proto(Money(sums.past_due, sums.account.currency)),
        )

    def GetBillingAccount(
        self, request: pb.GetBillingAccountRequest, context: grpc.ServicerContext
    ) -> pb.BillingAccount:
        account_id = ids.decode("bac", request.billing_account_id, "billing_account_id")
        with self._database.reading() as session:
            sums = accounts.find_sums(session, account_id, clock.now())
        return account_to_proto(calls.visible(sums, "billing account"))

    def ListBillingAccounts(
        self, request: pb.ListBillingAccountsRequest, context: grpc.ServicerContext
    ) -> pb.ListBillingAccountsResponse:
        page = Page.of(request, "billing_accounts", calls.caller().subject, (request.policy_id, request.customer_id))
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        customer_id = ids.decode("cus", request.customer_id) if request.customer_id else None
        with self._database.reading() as session:
            rows = accounts.list_of(
                session, calls.scope(), policy_id, customer_id, page.after_as(UUID), page.fetch, clock.now()
            )
        shown, token = page.cut(rows, key=lambda item: item.account.id)
        messages = [account_to_proto(item) for item in shown]
        return pb.ListBillingAccountsResponse(billing_accounts=messages, next_page_token=token)

    def UpdateBillingAccount(
        self, request: pb.UpdateBillingAccountRequest, context: grpc.ServicerContext
    ) -> pb.BillingAccount:
        new, fields, now = request.billing_account, request.update_mask.paths, clock.now()
        account_id = ids.decode("bac", new.billing_account_id, "billing_account.billing_account_id")
        with self._database.transaction() as session:
            idempotency.claim(session)
            before = calls.owned(accounts.lock(session, account_id), "billing account")
            calls.current().check_etag(etag_of(before))
            after = account.update(before, account_with(before, new), fields)
            changing.save(session, before, after, now)
            reply = account_to_proto(calls.visible(accounts.find_sums(session, account_id, now), "billing account"))
            idempotency.keep(session, reply)
        return reply

    def GetAccountStatement(
        self, request: pb.GetAccountStatementRequest, context: grpc.ServicerContext
    ) -> pb.AccountStatement:
        account_id = ids.decode("bac", request.billing_account_id, "billing_account_id")
        first, behind = (values.optional_date(request, name) for name in ("from_date", "until_date"))
        with self._database.reading() as session:
            shown = calls.visible(accounts.find(session, account_id), "billing account")
            entries = statements.list_entries(session, account_id)
        days = [(day_of(entry.booked_at, shown.time_zone), entry) for entry in entries]
        before = sum(entry.minor for day, entry in days if first and day < first)
        within = [entry for day, entry in days if (not first or day >= first) and (not behind or day < behind)]
        return statement_to_proto(Money(before, shown.currency), within)
