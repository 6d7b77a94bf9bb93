"""A quotes server with the shipped products, over a real database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from bazaruto.common.v1 import premium_pb2
from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import quote_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2_grpc as rpc_pb
from bazaruto.quotes.v1 import rate_change_pb2_grpc as rate_changes_rpc
from libs import clock, ids
from libs.config import DbSettings, Settings
from libs.db import Database
from libs.rpc import values
from libs.rpc.server import Server
from services.quotes.catalogue.flows import publishing
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.servicer import ProductServicer
from services.quotes.impact.servicer import RateChangeServicer
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.rules import acceptance, revision
from services.quotes.quoting.rules.quote import number_for
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.servicer.quotes import QuoteServicer
from services.quotes.quoting.store import quotes
from services.quotes.rating.rules import golden
from tests.support.people import People, Person, new_key
from tests.support.sections import section
from tests.unit.quotes.samples import calculate
from tests.unit.quotes.sold import ANSWERS, OBJECTS

# A start far enough ahead that no quote of a test ends with the day.
AHEAD = 45


def risk(product_code: str = "motor", ahead: int = AHEAD, coverages: Any = (), **answers: Any) -> pb.Risk:
    """The usual risk of a product, with cover from some days ahead and some other answers; None leaves one out."""
    start = datetime.now(UTC).date() + timedelta(days=ahead)
    message = pb.Risk(product_code=product_code, coverages=coverages, start_date=values.date_to_proto(start))
    given = {**ANSWERS.get(product_code, {}), **answers}
    message.answers.update({code: answer for code, answer in given.items() if answer is not None})
    message.objects.extend(values.insured_object_to_proto(insured) for insured in OBJECTS.get(product_code, ()))
    return message


def coverage(code: str, **amounts: Any) -> premium_pb2.Coverage:
    """A wanted coverage; `limit` and `deductible` are messages."""
    return premium_pb2.Coverage(coverage_code=code, **amounts)


class House:
    """A quotes server and its database."""

    def __init__(self, start: Callable[..., grpc.Channel], url: str, database: Database) -> None:
        self.url = url
        self.database = database
        self.underwriters = set[str]()
        """Those whom users would call underwriters."""
        with database.transaction() as session:
            publishing.publish(session, clock.now())

        def build(server: Server, database: Database, settings: Settings) -> None:
            calculators = Calculators()
            catalogue = Catalogue(database, calculators.prepare)
            server.add(
                products_rpc.add_ProductServiceServicer_to_server, ProductServicer(database, catalogue, golden.check)
            )
            quotes = QuoteServicer(database, catalogue, calculators, lambda user_id: user_id in self.underwriters)
            server.add(rpc_pb.add_QuoteServiceServicer_to_server, quotes)
            server.add(rate_changes_rpc.add_RateChangeServiceServicer_to_server, RateChangeServicer(database))

        self.calculators = Calculators()
        self.catalogue = Catalogue(database, self.calculators.prepare)
        channel = start("quotes", url, build)
        self.quotes = rpc_pb.QuoteServiceStub(channel)
        self.rate_changes = rate_changes_rpc.RateChangeServiceStub(channel)
        self.products = products_rpc.ProductServiceStub(channel)

    def create(
        self, person: Person, asked: pb.Risk | None = None, *, idempotency_key: str = "", **fields: Any
    ) -> pb.Quote:
        """A quote for somebody."""
        request = pb.CreateQuoteRequest(risk=asked or risk(), **fields)
        return self.quotes.CreateQuote(request, metadata=person.metadata(idempotency_key=idempotency_key or new_key()))

    def update(self, person: Person, quote_id: str, *, validate_only: bool = False, **changes: Any) -> pb.Quote:
        """Change a quote as somebody: the fields of `changes`; `if_match` goes into the metadata."""
        metadata = {name: changes.pop(name) for name in ("if_match", "idempotency_key") if name in changes}
        message = pb.Quote(quote_id=quote_id, **{name: value for name, value in changes.items() if name != "answers"})
        message.answers.update(changes.get("answers", {}))
        request = pb.UpdateQuoteRequest(quote=message, validate_only=validate_only)
        request.update_mask.paths.extend(changes)
        return self.quotes.UpdateQuote(request, metadata=person.metadata(**metadata))

    def price(self, person: Person, quote_id: str, **metadata: str) -> pb.Quote:
        """Price a draft as somebody."""
        return self.quotes.PriceQuote(pb.PriceQuoteRequest(quote_id=quote_id), metadata=person.metadata(**metadata))

    def accept(self, person: Person, quote_id: str, **fields: Any) -> pb.Quote:
        """Accept a quote as somebody; `if_match` and `idempotency_key` go into the metadata."""
        metadata = {name: fields.pop(name) for name in ("if_match", "idempotency_key") if name in fields}
        request = pb.AcceptQuoteRequest(quote_id=quote_id, **fields)
        return self.quotes.AcceptQuote(request, metadata=person.metadata(**metadata))

    def unaccept(self, person: Person, quote_id: str) -> pb.Quote:
        """Take back an acceptance as somebody."""
        return self.quotes.UnacceptQuote(pb.UnacceptQuoteRequest(quote_id=quote_id), metadata=person.metadata())

    def withdraw(self, person: Person, quote_id: str, reason: str = "") -> pb.Quote:
        """Give up a quote as somebody."""
        request = pb.WithdrawQuoteRequest(quote_id=quote_id, reason=reason)
        return self.quotes.WithdrawQuote(request, metadata=person.metadata())

    def clone(self, person: Person, quote_id: str) -> pb.Quote:
        """Make a new draft of a quote as somebody."""
        return self.quotes.CloneQuote(pb.CloneQuoteRequest(quote_id=quote_id), metadata=person.metadata())

    def listed(self, person: Person, **fields: Any) -> list[pb.Quote]:
        """The first page of somebody's quotes."""
        return list(self.quotes.ListQuotes(pb.ListQuotesRequest(**fields), metadata=person.metadata()).quotes)

    def get(self, person: Person, quote_id: str) -> pb.Quote:
        """Read a quote as somebody."""
        return self.quotes.GetQuote(pb.GetQuoteRequest(quote_id=quote_id), metadata=person.metadata())

    def past(self, person: Person, days: int, accepted: bool = False, **answers: Any) -> str:
        """A quote that somebody made some days ago, for cover from that day: it has expired since."""
        assert person.id is not None
        now = datetime.now(UTC) - timedelta(days=days)
        with self.database.transaction() as session:
            number = number_for(now.year, quotes.add_number(session))
            origin = Origin(ids.new(), number, person.id, created_by=person.id)
            made = revision.create(calculate("motor", now, **answers), now, origin)
            quotes.add(session, acceptance.accept(made, now) if accepted else made)
        return ids.encode("quo", made.id)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def house(start_server: Callable[..., grpc.Channel], make_database: Callable[[str], str]) -> Iterator[House]:
    url = make_database("quotes")
    database = Database(url, section(DbSettings, max_connections=3), "test-quotes-aside")
    database.open()
    try:
        yield House(start_server, url, database)
    finally:
        database.close()


@pytest.fixture
def person(people: People) -> Person:
    return people.customer()


@pytest.fixture
def policies(people: People) -> Person:
    """The policies service."""
    return people.service("policies")
