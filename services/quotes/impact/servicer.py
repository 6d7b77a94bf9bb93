"""The calls of `RateChangeService`."""

from __future__ import annotations

import grpc

from bazaruto.quotes.v1 import rate_change_pb2 as pb
from bazaruto.quotes.v1 import rate_change_pb2_grpc as rpc_pb
from libs import audit, clock, ids
from libs.db import Database
from libs.errors import ResourceNotFound
from libs.identity.callers import AccessDenied
from libs.jobs import defer
from libs.rpc import calls, idempotency
from services.quotes.catalogue.flows.drafting import find_product
from services.quotes.impact.kinds import ANALYZE_RATE_CHANGE, Part
from services.quotes.impact.messages import rate_change_to_proto
from services.quotes.impact.rules.impact import Impact
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.impact.store import rate_changes
from services.quotes.quoting.store import portfolio


class RateChangeServicer(rpc_pb.RateChangeServiceServicer):
    """Answers the calls of `RateChangeService`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def AnalyzeRateChange(self, request: pb.AnalyzeRateChangeRequest, context: grpc.ServicerContext) -> pb.RateChange:
        author_id = calls.caller().user_id
        if author_id is None:
            raise AccessDenied("an analysis is made for a person, and no user calls")
        code, version, now = request.product_code, request.version, clock.now()
        with self._database.transaction() as session:
            idempotency.claim(session)
            product = find_product(session, code, version)
            if product is None:
                raise ResourceNotFound(resource="product_version")
            extent = portfolio.find_extent(session, code, only_bound=request.only_bound)
            rate_change = RateChange(
                id=ids.new(),
                product_code=code,
                version=version,
                only_bound=request.only_bound,
                author_id=author_id,
                created_at=now,
                currency=product.currency,
                total=extent.quotes,
                last_id=extent.last_id,
                done=0,
                done_id=None,
                finished_at=None if extent.quotes else now,
                impact=Impact(),
            )
            rate_changes.add(session, rate_change)
            if extent.quotes:
                defer(session, ANALYZE_RATE_CHANGE, Part(rate_change.id, 0))
            reply = rate_change_to_proto(rate_change)
            audit.record(session, "rate_change_asked_for", reply.rate_change_id, product=code, version=version)
            idempotency.keep(session, reply)
        return reply

    def GetRateChange(self, request: pb.GetRateChangeRequest, context: grpc.ServicerContext) -> pb.RateChange:
        with self._database.reading(fresh=True) as session:
            rate_change = rate_changes.find(session, ids.decode("rch", request.rate_change_id))
        if rate_change is None:
            raise ResourceNotFound(resource="rate_change")
        return rate_change_to_proto(rate_change)
