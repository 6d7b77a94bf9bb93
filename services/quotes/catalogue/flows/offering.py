"""The published products as this process knows them: read once, compiled once, kept.

A version never changes, so that what is kept is never wrong; it only has to be completed, when somebody asks for
what is not known here, and from time to time for versions that nobody asks for by number.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from libs.db import Database
from libs.errors import Exhausted, Unavailable
from services.quotes.catalogue.adapters.reading import DefinitionError, read
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable, newest_on_sale
from services.quotes.catalogue.store import products
from services.quotes.quoting import measures
from services.quotes.quoting.rules.pricing import Tariff, compile_tariff

log = structlog.get_logger("quotes")

_LOOK_EVERY = 60.0  # seconds between two looks for new versions


class Catalogue:
    """Finds tariffs by product and version, or by what is on sale."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tariffs: Mapping[str, Mapping[int, Tariff]] = {}
        self._looked_at = float("-inf")
        self._failed_at = float("-inf")
        self._looking = threading.Lock()

    def on_sale(self, code: str, now: datetime) -> Tariff:
        """The version of a product that is sold at a moment. `ProductNotAvailable` when there is none."""
        self._look_again()
        if code not in self._tariffs:
            self._look()
        versions = self._tariffs.get(code, {})
        newest = newest_on_sale((tariff.product for tariff in versions.values()), now)
        if newest is None:
            raise ProductNotAvailable(product=code)
        return versions[newest.version]

    def version(self, code: str, version: int) -> Tariff | None:
        """A version of a product, on sale or not."""
        if version not in self._tariffs.get(code, {}):
            self._look()
        return self._tariffs.get(code, {}).get(version)

    def all_on_sale(self, now: datetime) -> list[Product]:
        """Every product that is sold at a moment, by code."""
        self._look_again()
        newest = (
            newest_on_sale((tariff.product for tariff in versions.values()), now) for versions in self._tariffs.values()
        )
        return sorted((product for product in newest if product is not None), key=lambda product: product.code)

    def _look_again(self) -> None:
        """Look from time to time. While the database does not answer, what is known is good enough."""
        if time.monotonic() - max(self._looked_at, self._failed_at) <= _LOOK_EVERY:
            return
        try:
            self._look()
        except (Unavailable, Exhausted):
            if not self._tariffs:
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
            known = {code: dict(versions) for code, versions in self._tariffs.items()}
            with self._database.reading() as session:
                for code, version in products.list_versions(session):
                    if version in known.get(code, {}):
                        continue
                    tariff = _load(session, code, version)
                    if tariff is not None:
                        known.setdefault(code, {})[version] = tariff
                        measures.begin_at_nought(code)
            self._tariffs = known
            self._looked_at = began_at


def _load(session: Session, code: str, version: int) -> Tariff | None:
    """A version, unless this program cannot read it: then a newer one published it, which will soon replace this."""
    document = products.find_document(session, code, version)
    try:
        return compile_tariff(read(document)) if document is not None else None
    except DefinitionError as error:
        log.error("product version cannot be read", product=code, version=version, error=str(error))
        return None
