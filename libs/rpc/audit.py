"""The gRPC face of a service's audit log: the same for every service that keeps one."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import grpc
from cachetools import TTLCache
from google.protobuf import struct_pb2

from bazaruto.common.v1 import audit_pb2 as pb
from libs import audit, ids
from libs.audit import Event, Filter
from libs.db import Database
from libs.rpc import calls, values
from libs.rpc.calls import Call
from libs.rpc.pages import Page

_MOST = 10_000  # denials that are remembered as noted
_AGAIN_AFTER = 60.0  # seconds


class AuditServicer:
    """Answers `ListAuditEvents`; registered with the generated function of the service's own contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ListAuditEvents(
        self, request: pb.ListAuditEventsRequest, context: grpc.ServicerContext
    ) -> pb.ListAuditEventsResponse:
        since, until = (values.optional_time(request, name) for name in ("start_time", "end_time"))
        criteria = Filter(request.actor, request.resource, request.action, since, until)
        page = Page.of(request, "audit", calls.caller().subject, criteria)
        with self._database.reading() as session:
            rows = audit.list_events(session, criteria, page.after_as(UUID), page.fetch)
        shown, token = page.cut(rows, key=lambda item: item.id)
        return pb.ListAuditEventsResponse(events=[event_to_proto(item) for item in shown], next_page_token=token)


class Denials:
    """Notes who was not admitted to a method: once a minute, so that nobody fills the log by asking again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: TTLCache[tuple[str, str], bool] = TTLCache(_MOST, _AGAIN_AFTER)
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> None:
        """The contract does not admit the caller of this call."""
        key = (call.caller.subject, call.method.full_name)
        with self._lock:
            if key in self._noted:
                return
            self._noted[key] = True
        audit.record_alone(self._database, "authorization_denied", "", method=call.method.full_name)


def event_to_proto(event: Event) -> pb.AuditEvent:
    """The entry as callers see it."""
    return pb.AuditEvent(
        event_id=ids.encode("aud", event.id),
        event_time=values.time_to_proto(event.at),
        action=event.action,
        actor=event.actor,
        resource=event.resource,
        before=_struct(event.before),
        after=_struct(event.after),
        details=_struct(event.details),
        client_address=event.client_address,
        trace_id=event.trace_id,
    )


def _struct(fields: dict[str, Any] | None) -> struct_pb2.Struct | None:
    if fields is None:
        return None
    struct = struct_pb2.Struct()
    struct.update(fields)
    return struct
