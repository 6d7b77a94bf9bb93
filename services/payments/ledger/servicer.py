"""The gRPC face of the ledger."""

from __future__ import annotations

from uuid import UUID

import grpc

from bazaruto.payments.v1 import ledger_pb2 as pb
from bazaruto.payments.v1 import ledger_pb2_grpc as rpc_pb
from libs import ids
from libs.db import Database
from libs.rpc import calls, values
from libs.rpc.pages import Page
from services.payments.ledger.messages import balance_to_proto, journal_to_proto
from services.payments.ledger.rules import journal
from services.payments.ledger.store import journals


class LedgerServicer(rpc_pb.LedgerServiceServicer):
    """Answers the calls of `LedgerService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def GetTrialBalance(self, request: pb.GetTrialBalanceRequest, context: grpc.ServicerContext) -> pb.TrialBalance:
        day = values.optional(request, "as_of_date")
        as_of = values.date_from_proto(day, "as_of_date") if day else None
        with self._database.reading() as session:
            balances, last_day = journals.list_balances(session, as_of)
        counted_until = as_of or last_day
        return pb.TrialBalance(
            as_of_date=values.date_to_proto(counted_until) if counted_until else None,
            accounts=[balance_to_proto(balance) for balance in balances],
            differences=[values.money_to_proto(money) for money in journal.differences(balances)],
        )

    def ListJournals(self, request: pb.ListJournalsRequest, context: grpc.ServicerContext) -> pb.ListJournalsResponse:
        page = Page.of(request, "journals", calls.caller().subject, request.policy_id)
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        with self._database.reading() as session:
            rows = journals.list_all(session, policy_id, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListJournalsResponse(journals=[journal_to_proto(item) for item in shown], next_page_token=token)
