"""What the calls that change a quote share: loading what the caller may act on, saving what became of it, replying."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import clock, ids
from libs.db import Database, when_committed
from libs.identity.callers import AccessDenied
from libs.rpc import calls, idempotency
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import Product
from services.quotes.quoting import measures
from services.quotes.quoting.flows import referring
from services.quotes.quoting.flows.calculating import Calculators
from services.quotes.quoting.messages.quotes import quote_to_proto
from services.quotes.quoting.rules.quote import Quote, number_for
from services.quotes.quoting.rules.revision import Origin
from services.quotes.quoting.store import quotes, segments

Change = Callable[[Quote, datetime], Quote]


class Changing:
    """The ground of the calls of `QuoteService`."""

    def __init__(
        self, database: Database, catalogue: Catalogue, calculators: Calculators, is_underwriter: Callable[[str], bool]
    ) -> None:
        """`is_underwriter` says of a user's identifier whether they can decide on referrals; users knows it."""
        self._database = database
        self._catalogue = catalogue
        self._calculators = calculators
        self._is_underwriter = is_underwriter

    def _changed(
        self, quote_id: str, action: str, change: Change, *, only_checks: bool = False, **details: str
    ) -> pb.Quote:
        """Change a quote that the caller may act on, under its lock; or answer what it would be."""
        with self._database.transaction() as session:
            if not only_checks:
                idempotency.claim(session)
            offer = self._locked(session, quote_id)
            # Read after the lock was waited for: a validity that ended meanwhile has ended.
            now = clock.now()
            changed = change(offer, now)
            reply = self._reply(changed, now)
            if not only_checks:
                referring.save(session, action, offer, changed, now, **details)
                if offer.price is None and changed.price is not None:
                    when_committed(session, lambda: measures.count(changed.product_code, changed.recorded_state))
                idempotency.keep(session, reply)
        return reply

    def _locked(self, session: Session, quote_id: str) -> Quote:
        """A quote that the caller may act on, kept from other changes."""
        return segments.find(session, calls.owned(quotes.lock(session, ids.decode("quo", quote_id)), "quote"))

    def _owned(self, quote_id: str) -> Quote:
        """A quote that the caller may act on, as it is before it is locked."""
        with self._database.reading(fresh=True) as session:
            return calls.owned(quotes.find(session, ids.decode("quo", quote_id)), "quote")

    def _product_on_sale(self, quote_id: str) -> Product:
        """The version on sale of a quote's product, looked up before the quote is locked."""
        return self._catalogue.on_sale(self._owned(quote_id).product_code, clock.now())

    def _reply(self, offer: Quote, now: datetime) -> pb.Quote:
        return quote_to_proto(self._calculators.with_lines(self._catalogue, offer), now)


def caller_id() -> UUID:
    """The user who calls, for whom a quote is made, or who decides on one. `AccessDenied` when none does."""
    user_id = calls.caller().user_id
    if user_id is None:
        raise AccessDenied("a quote is made and decided on by users, and no user calls")
    return user_id


def origin(
    session: Session,
    product: Product,
    now: datetime,
    *,
    holder: UUID,
    created_by: UUID,
    partner_id: UUID | None,
    group_id: UUID | None = None,
) -> Origin:
    """What a new quote is told by, with the next number."""
    number = number_for(product.today(now).year, quotes.add_number(session))
    return Origin(ids.new(), number, holder, created_by, partner_id, group_id)
