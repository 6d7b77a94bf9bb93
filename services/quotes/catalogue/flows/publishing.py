"""Publishing products: from files and from drafts into the catalogue. A published version never changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from libs import audit
from services.quotes.catalogue.adapters.reading import Document
from services.quotes.catalogue.adapters.source import Source, parse, read_source
from services.quotes.catalogue.rules.definition import DefinitionError, Fault
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.sale import Sale, VersionTaken, of_file
from services.quotes.catalogue.store import products, sales
from services.quotes.catalogue.store.drafts import Draft

FOLDER = Path(__file__).parents[1] / "data"


class VersionChanged(ValueError):
    """A version is published already, with other content."""


def publish(session: Session, now: datetime, paths: Iterable[Path] | None = None) -> None:
    """Add the products of files to the catalogue, on sale on the days that they say; what is there stays as it is.

    `DefinitionError` names the file and every wrong key; `VersionChanged` the file whose change needs a new version.
    """
    for path in sorted(FOLDER.glob("*.yaml")) if paths is None else paths:
        product, document = read_file(path)
        # Of two processes that publish at once, one adds it, and both compare with what is there afterwards.
        if products.add(session, product.code, product.version, document, now):
            sales.add(session, product.code, of_file(product), audit.OPERATOR, now)
        if products.find(session, product.code, product.version) != document:
            raise VersionChanged(
                f"{path.name}: version {product.version} of {product.code} is published with other content;"
                " published versions never change, so give the change a new version"
            )


def publish_draft(session: Session, draft: Draft, sale: Sale, publisher: str, now: datetime) -> None:
    """Put a draft on sale, and write down by whom. `VersionTaken` when the version is published already."""
    if not products.add(session, draft.code, draft.version, draft.document, now):
        raise VersionTaken(f"version {draft.version} of {draft.code} is published already")
    sales.add(session, draft.code, sale, publisher, now)
    audit.record(session, "product_published", f"{draft.code}/{draft.version}", after=_audited(sale))


def withdraw(session: Session, code: str, before: Sale, ended: Sale, by: str, now: datetime) -> None:
    """Let the sale of a version end, and write down by whom."""
    sales.add(session, code, ended, by, now)
    audit.record(
        session, "product_withdrawn", f"{code}/{ended.version}", before=_audited(before), after=_audited(ended)
    )


def read_file(path: Path) -> tuple[Product, Document]:
    """The product of a file, and its document. `DefinitionError` names the file, and each wrong key with its line."""
    source = _source(path)
    try:
        return read_source(source), source.document
    except DefinitionError as error:
        raise DefinitionError(error.faults, path.name) from error


def load(path: Path) -> Document:
    """The document of a file. `DefinitionError` names the file when it cannot be read."""
    return _source(path).document


def _source(path: Path) -> Source:
    try:
        return parse(path.read_bytes().decode())
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - error.object.rfind(b"\n", 0, error.start)
        problem = f"is not text in UTF-8: byte {error.object[error.start]:#04x} at column {column}"
        raise DefinitionError([Fault("", problem, line)], path.name) from error
    except DefinitionError as error:
        raise DefinitionError(error.faults, path.name) from error


def _audited(sale: Sale) -> dict[str, object]:
    """What the audit log keeps of a sale."""
    return {"starts_on": sale.starts_on, "ends_on": sale.ends_on, "renew_with": sale.renew_with}
