"""The gRPC face of delinquencies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from uuid import UUID

import grpc
from sqlalchemy.orm import Session

from bazaruto.payments.v1 import delinquency_pb2 as pb
from bazaruto.payments.v1 import delinquency_pb2_grpc as rpc_pb
from libs import clock, ids
from libs.calendar import day_of
from libs.db import Database
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page
from services.payments.billing.flows import dunning
from services.payments.billing.messages.delinquencies import delinquency_to_proto
from services.payments.billing.rules import delinquency
from services.payments.billing.rules.delinquency import Delinquency, Known
from services.payments.billing.rules.dunning import Dunning
from services.payments.billing.store import delinquencies, product_terms


class DelinquencyServicer(rpc_pb.DelinquencyServiceServicer):
    """Answers the calls of `DelinquencyService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def GetDelinquency(self, request: pb.GetDelinquencyRequest, context: grpc.ServicerContext) -> pb.Delinquency:
        delinquency_id = ids.decode("dlq", request.delinquency_id)
        with self._database.snapshot() as session:
            known = calls.visible(delinquencies.find(session, delinquency_id), "delinquency")
            return _shown(session, known)

    def ListDelinquencies(
        self, request: pb.ListDelinquenciesRequest, context: grpc.ServicerContext
    ) -> pb.ListDelinquenciesResponse:
        page = Page.of(request, "delinquencies", calls.caller().subject, (request.policy_id, request.is_open))
        policy_id = ids.decode("pol", request.policy_id) if request.policy_id else None
        with self._database.reading() as session:
            rows = delinquencies.list_of(
                session, calls.scope(), policy_id, page.after_as(UUID), page.fetch, is_open=request.is_open
            )
        shown, token = page.cut(rows, key=lambda item: item.delinquency.id)
        messages = [delinquency_to_proto(item) for item in shown]
        return pb.ListDelinquenciesResponse(delinquencies=messages, next_page_token=token)

    def SuspendDelinquency(
        self, request: pb.SuspendDelinquencyRequest, context: grpc.ServicerContext
    ) -> pb.Delinquency:
        until = values.date_from_proto(request.until_date, "until_date")
        return self._change(
            request.delinquency_id,
            lambda current, _, today: delinquency.suspend(current, until, request.reason, today),
        )

    def ResumeDelinquency(self, request: pb.ResumeDelinquencyRequest, context: grpc.ServicerContext) -> pb.Delinquency:
        return self._change(request.delinquency_id, delinquency.resume)

    def _change(
        self, delinquency_id: str, change: Callable[[Delinquency, Dunning | None, date], Delinquency]
    ) -> pb.Delinquency:
        now = clock.now()
        with self._database.transaction() as session:
            idempotency.claim(session)
            key = ids.decode("dlq", delinquency_id)
            before = calls.owned(delinquencies.lock(session, key), "delinquency")
            current = before.delinquency
            after = change(current, _dunning_of(session, current), day_of(now, before.time_zone))
            dunning.save(session, current, after)
            reply = _shown(session, replace(before, delinquency=after))
            idempotency.keep(session, reply)
        return reply


def _shown(session: Session, known: Known) -> pb.Delinquency:
    """The delinquency with its steps."""
    current = known.delinquency
    return delinquency_to_proto(known, delinquencies.find_steps(session, current.id), _dunning_of(session, current))


def _dunning_of(session: Session, current: Delinquency) -> Dunning | None:
    terms = product_terms.find_of_accounts(session, [current.account_id])[current.account_id].get(current.term_number)
    return terms.dunning if terms else None
