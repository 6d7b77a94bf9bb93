"""The published products as this process knows them: read once and kept.

A version never changes, so that what is kept is never wrong; it only has to be completed, when somebody asks for
what is not known here, and from time to time for versions that nobody asks for by number. On which days a version is
sold may change: what is decided elsewhere is known here a minute later at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import structlog
from sqlalchemy.orm import Session

from libs.db import Database
from libs.errors import Exhausted, Unavailable
from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.rules.definition import DefinitionError
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.catalogue.rules.sale import Sale, sold_on, successor_of
from services.quotes.catalogue.store import products, sales

log = structlog.get_logger("quotes")

_LOOK_EVERY = 60.0  # seconds between two looks for new versions


class Catalogue:
    """Finds products by code and version, or by what is on sale."""

    def __init__(self, database: Database, prepare: Callable[[Product], None]) -> None:
        """`prepare` gets each version that was read, before anybody can find it here."""
        self._database = database
        self._prepare = prepare
        self._products: Mapping[str, Mapping[int, Product]] = {}
        self._sales: Mapping[str, Sequence[Sale]] = {}
        self._looked_at = float("-inf")
        self._failed_at = float("-inf")
        self._looking = threading.Lock()

    def on_sale(self, code: str, now: datetime) -> Product:
        """The version of a product that is sold at a moment. `ProductNotAvailable` when there is none."""
        self._look_again()
        if code not in self._products:
            self._look()
        product = self._sold(code, now)
        if product is None:
            raise ProductNotAvailable(product=code)
        return product

    def version(self, code: str, version: int) -> Product | None:
        """A version of a product, on sale or not."""
        if version not in self._products.get(code, {}):
            self._look()
        return self._products.get(code, {}).get(version)

    def successor(self, product: Product, day: date) -> Product:
        """The version that a policy of a version takes for a term from a day. `ProductNotAvailable` without one."""
        self._look_again()
        number = successor_of(self._sales.get(product.code, ()), product.version, day)
        successor = self.version(product.code, number) if number is not None else None
        if successor is None:
            raise ProductNotAvailable(product=product.code)
        return successor

    def all_on_sale(self, now: datetime) -> list[Product]:
        """Every product that is sold at a moment, by code."""
        self._look_again()
        sold = (self._sold(code, now) for code in self._products)
        return sorted((product for product in sold if product is not None), key=lambda product: product.code)

    def sale_of(self, product: Product) -> Sale | None:
        """The days on which a version is sold; None while none are known here."""
        return next((sale for sale in self._sales.get(product.code, ()) if sale.version == product.version), None)

    def look(self) -> None:
        """Know now what was decided here a moment ago."""
        self._looked_at = float("-inf")
        self._look()

    def _sold(self, code: str, now: datetime) -> Product | None:
        """The version that is sold at a moment, by the time of the place where it is sold."""
        versions = self._products.get(code, {})
        if not versions:
            return None
        today = versions[max(versions)].today(now)
        sale = sold_on(self._sales.get(code, ()), today)
        return versions.get(sale.version) if sale else None

    def _look_again(self) -> None:
        """Look from time to time. While the database does not answer, what is known is good enough."""
        if time.monotonic() - max(self._looked_at, self._failed_at) <= _LOOK_EVERY:
            return
        try:
            self._look()
        except (Unavailable, Exhausted):
            if not self._products:
                raise
            self._failed_at = time.monotonic()
            log.warning("no look for new products, because the database does not answer")

    def _look(self) -> None:
        """Add the versions that were published since. Readers go on with the old mapping until it is replaced."""
        asked_at = time.monotonic()
        with self._looking:
            if self._looked_at > asked_at:  # while this call waited, another one looked
                return
            began_at = time.monotonic()
            known = {code: dict(versions) for code, versions in self._products.items()}
            with self._database.reading(fresh=True) as session:
                for code, version in products.list_versions(session):
                    if version in known.get(code, {}):
                        continue
                    product = _load(session, code, version)
                    if product is not None:
                        self._prepare(product)
                        known.setdefault(code, {})[version] = product
                decided = sales.list_all(session)
            # A version that this program cannot read is sold by the programs that can: here the one before is.
            self._sales = {
                code: [sale for sale in decided.get(code, ()) if sale.version in versions]
                for code, versions in known.items()
            }
            self._products = known
            self._looked_at = began_at


def _load(session: Session, code: str, version: int) -> Product | None:
    """A version, unless this program cannot read it: then a newer one published it, which will soon replace this."""
    document = products.find(session, code, version)
    try:
        return read(document) if document is not None else None
    except DefinitionError as error:
        log.error("product version cannot be read", product=code, version=version, error=str(error))
        return None
