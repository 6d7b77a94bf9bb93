"""The gRPC face of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import ledger_pb2 as pb
from bazaruto.payments.v1 import ledger_pb2_grpc as rpc_pb
from libs import audit, clock, ids, money
from libs.db import Database
from libs.errors import FieldInvalid, ResourceNotFound
from libs.jobs import defer
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.ledger.kinds import RUN_EARNING, RunEarning
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
from services.payments.ledger.rules.period import Period
from services.payments.ledger.rules.proof import Billed
from services.payments.ledger.store import balances, journals


class LedgerServicer(rpc_pb.LedgerServiceServicer):
    """Answers the calls of `LedgerService`."""

    def __init__(
        self,
        database: Database,
        find_billed: Callable[[Session, UUID], Billed | None],
        count_unearned: Callable[[Session, date], int],
    ) -> None:
        """`find_billed` gives what billing, which stands above the ledger, says of a policy; `count_unearned` how many
        policies are not earned up to a day.
        """
        self._database = database
        self._find_billed = find_billed
        self._count_unearned = count_unearned

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

    def RunEarning(self, request: pb.RunEarningRequest, context: grpc.ServicerContext) -> pb.RunEarningResponse:
        now = clock.now()
        try:
            period = Period.parse(request.period)
        except ValueError as error:
            raise FieldInvalid(violations={"period": "is no month"}) from error
        if period.ends_on > now.date():
            raise FieldInvalid(violations={"period": "is not over"})
        with self._database.transaction() as session:
            idempotency.claim(session)
            defer(session, RUN_EARNING, RunEarning(str(period), now.isoformat()))
            audit.record(session, "earning_asked_for", f"ledger/{period}")
            reply = pb.RunEarningResponse(
                period=str(period),
                until_date=values.date_to_proto(period.ends_on),
                policies=self._count_unearned(session, period.ends_on),
            )
            idempotency.keep(session, reply)
        return reply
