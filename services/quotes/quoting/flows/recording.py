"""What the audit log has of a quote, in the transaction of the fact."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from libs import audit, ids
from libs.money import Money
from services.quotes.quoting.rules.quote import Quote, State

REFERRED = "quote_referred"


def record(session: Session, action: str, before: Quote, after: Quote, now: datetime, **details: str) -> None:
    """Add the entry of a change; and, where the change left the quote to an underwriter, that it was referred."""
    quote_id, owner = ids.encode("quo", after.id), ids.encode("usr", after.user_id)
    seen_before, seen_after = _seen(before, now), _seen(after, now)
    audit.record(session, action, quote_id, before=seen_before, after=seen_after, user_id=owner, **details)
    if after.revision != before.revision:
        record_referral(session, after)


def record_referral(session: Session, quote: Quote) -> None:
    """Add that a quote waits for an underwriter, if it does."""
    if quote.recorded_state is State.REFERRED:
        rules = [reason.rule_code for reason in quote.reasons]
        owner = ids.encode("usr", quote.user_id)
        audit.record(session, REFERRED, ids.encode("quo", quote.id), user_id=owner, rules=rules)


def _seen(quote: Quote, now: datetime) -> dict[str, object]:
    """State, revision and price, where it shows one."""
    price = quote.offered_price
    seen: dict[str, object] = {"state": quote.state(now), "revision": quote.revision}
    return {**seen, "total": Money(price.total, price.currency)} if price else seen
