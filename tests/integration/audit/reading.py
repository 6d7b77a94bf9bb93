"""A service with its audit log, for the tests: it is served as the service's main serves it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import closing
from typing import Any

import grpc
import psycopg

from bazaruto.common.v1 import audit_pb2 as pb
from libs.config import Settings
from libs.db import Database
from libs.rpc.server import Server
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.policies.house import House as PoliciesHouse
from tests.integration.users.house import House as UsersHouse
from tests.support.people import People, Person

_CONTRACTS = {"users": "UserAuditService", "policies": "PolicyAuditService", "payments": "PaymentAuditService"}


class LoggedServer:
    """The house of a service, whose server also keeps and shows the audit log."""

    def __init__(self, service: str, start: Callable[..., grpc.Channel], url: str, people: People) -> None:
        self.url = url
        self.people = people
        contract = importlib.import_module(f"bazaruto.{service}.v1.audit_pb2_grpc")
        self.channel: grpc.Channel

        def also_logged(name: str, at: str, build: Callable[[Server, Database, Settings], None]) -> grpc.Channel:
            def build_all(server: Server, database: Database, settings: Settings) -> None:
                server.keep_audit_log(getattr(contract, f"add_{_CONTRACTS[service]}Servicer_to_server"))
                build(server, database, settings)

            self.channel = start(name, at, build_all)
            return self.channel

        houses: dict[str, Callable[[], Any]] = {
            "users": lambda: UsersHouse(also_logged, url, people),
            "policies": lambda: PoliciesHouse(also_logged, url),
            "payments": lambda: PaymentsHouse(also_logged, url, people),
        }
        self.house = houses[service]()
        self.stub = getattr(contract, f"{_CONTRACTS[service]}Stub")(self.channel)

    def events(self, person: Person | None = None, **fields: Any) -> list[pb.AuditEvent]:
        """The entries that an admin gets, oldest first."""
        return list(reversed(self.page(person, **fields).events))

    def page(self, person: Person | None = None, **fields: Any) -> pb.ListAuditEventsResponse:
        """A page as it comes."""
        metadata = (person or self.people.admin()).metadata()
        answer: pb.ListAuditEventsResponse = self.stub.ListAuditEvents(
            pb.ListAuditEventsRequest(**fields), metadata=metadata
        )
        return answer

    def actions(self, **fields: Any) -> list[str]:
        """What was done, oldest first."""
        return [event.action for event in self.events(**fields)]

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, or change it behind the service's back."""
        with closing(psycopg.connect(self.url, autocommit=True)) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []
