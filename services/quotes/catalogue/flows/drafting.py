"""Drafts: versions of products that somebody made, and nobody is sold yet."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.adapters.source import Source, read_source
from services.quotes.catalogue.rules.definition import DefinitionError, Fault
from services.quotes.catalogue.rules.product import Product
from services.quotes.catalogue.rules.sale import VersionTaken
from services.quotes.catalogue.store import drafts, products
from services.quotes.catalogue.store.drafts import Draft

_MOST = 1_000_000  # the highest number of a version


def draft(code: str, source: Source, author_id: UUID, now: datetime) -> Draft:
    """The draft of a file that is sent as a version of the product `code`. `DefinitionError` names every wrong key."""
    product = read_source(source)
    faults = []
    if product.code != code:
        faults.append(Fault("code", f"is {product.code!r}, and the file was sent for {code!r}", source.line_of("code")))
    if product.version > _MOST:
        faults.append(Fault("version", f"must be {_MOST} or less", source.line_of("version")))
    if faults:
        raise DefinitionError(faults)
    return Draft(code, product.version, source.document, source.text, author_id, now)


def keep(session: Session, new: Draft) -> None:
    """Keep a draft. `VersionTaken` when the version exists, as a draft or published."""
    published = products.find(session, new.code, new.version) is not None
    if published or not drafts.add(session, new):
        raise VersionTaken(f"version {new.version} of {new.code} exists already")


def find_product(session: Session, code: str, version: int) -> Product | None:
    """A version of a product, a draft or a published one."""
    draft = drafts.find(session, code, version)
    document = draft.document if draft else products.find(session, code, version)
    return read(document) if document is not None else None
