"""What the audit log has of a quote, in the transaction of the fact."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.money import Money
from services.quotes.quoting.rules.quote import Quote

REFERRED = "quote_referred"


def record(session: Session, action: str, before: Quote, after: Quote, now: datetime, **details: str) -> None:
    """Add the entry of a change."""
    quote_id, owner = ids.encode("quo", after.id), ids.encode("usr", after.user_id)
    audit.record(
        session, action, quote_id, before=_audited(before, now), after=_audited(after, now), user_id=owner, **details
    )


def record_referral(session: Session, quote: Quote) -> None:
    """Add that a quote waits for an underwriter."""
    rules = [reason.rule_code for reason in quote.open_reasons]
    owner = ids.encode("usr", quote.user_id)
    audit.record(session, REFERRED, ids.encode("quo", quote.id), user_id=owner, rules=rules)


def _audited(quote: Quote, now: datetime) -> dict[str, object]:
    """State, revision and price, where it shows one."""
    price = quote.offered_price
    values: dict[str, object] = {"state": quote.state(now), "revision": quote.revision}
    return {**values, "total": Money(price.total, price.currency)} if price else values
