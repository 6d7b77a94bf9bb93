"""The gRPC face of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import ledger_pb2 as pb
from bazaruto.payments.v1 import ledger_pb2_grpc as rpc_pb
from libs import ids, money
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.rpc import calls, values
from libs.rpc.pages import Page
from services.payments.ledger.messages import (
    balance_to_proto,
    compared_to_proto,
    dimension_from_proto,
    entry_to_proto,
    extract_from_proto,
    filter_from_proto,
    journal_to_proto,
)
from services.payments.ledger.rules import balance, entry, proof
from services.payments.ledger.rules.balance import AsOf
from services.payments.ledger.rules.chart import CHART
from services.payments.ledger.rules.entry import Position
from services.payments.ledger.rules.proof import Billed
from services.payments.ledger.store import balances, journals


class LedgerServicer(rpc_pb.LedgerServiceServicer):
    """Answers the calls of `LedgerService`."""

    def __init__(self, database: Database, find_billed: Callable[[Session, UUID], Billed | None]) -> None:
        """`find_billed` gives what billing, which stands above the ledger, says of a policy."""
        self._database = database
        self._find_billed = find_billed

    def GetTrialBalance(self, request: pb.GetTrialBalanceRequest, context: grpc.ServicerContext) -> pb.TrialBalance:
        as_of = AsOf(values.optional_date(request, "as_of_date"), values.optional_time(request, "booked_until_time"))
        dimension = dimension_from_proto(request.dimension)
        with self._database.reading() as session:
            sums, last_day = balances.list_all(session, as_of, dimension)
        counted_until = as_of.last_day or last_day
        return pb.TrialBalance(
            as_of_date=values.date_to_proto(counted_until) if counted_until else None,
            booked_until_time=values.time_to_proto(as_of.booked_before) if as_of.booked_before else None,
            accounts=[balance_to_proto(line, dimension) for line in sums],
            differences=[values.money_to_proto(money) for money in balance.differences(sums)],
        )

    def ListJournals(self, request: pb.ListJournalsRequest, context: grpc.ServicerContext) -> pb.ListJournalsResponse:
        criteria = filter_from_proto(request)
        page = Page.of(request, "journals", calls.caller().subject, criteria)
        with self._database.reading() as session:
            rows = journals.list_all(session, criteria, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListJournalsResponse(journals=[journal_to_proto(item) for item in shown], next_page_token=token)

    def GetAccountLedger(self, request: pb.GetAccountLedgerRequest, context: grpc.ServicerContext) -> pb.AccountLedger:
        extract = extract_from_proto(request)
        money.exponent(extract.currency)
        account = CHART.get(extract.account_code)
        if account is None:
            raise ResourceNotFound(resource="account")
        page = Page.of(request, "account", calls.caller().subject, extract)
        with self._database.reading() as session:
            opening, rows = balances.list_entries(session, extract, page.after_as(Position.parse), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.position)
        behind = entry.balances_behind(opening, shown)
        return pb.AccountLedger(
            account_code=account.code,
            account_name=account.name,
            currency_code=extract.currency,
            opening_balance=values.money_to_proto(opening),
            entries=[entry_to_proto(item, money_behind) for item, money_behind in zip(shown, behind, strict=True)],
            next_page_token=token,
        )

    def GetPolicyLedger(self, request: pb.GetPolicyLedgerRequest, context: grpc.ServicerContext) -> pb.PolicyLedger:
        policy_id = ids.decode("pol", request.policy_id)
        with self._database.snapshot() as session:
            billed, booked = self._find_billed(session, policy_id), balances.list_of_policy(session, policy_id)
        if billed is None:
            raise ResourceNotFound(resource="billing")
        lines = [compared_to_proto(item) for item in proof.compare(billed, booked)]
        return pb.PolicyLedger(policy_id=request.policy_id, lines=lines)
