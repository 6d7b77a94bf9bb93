"""What follows from a change of a quote, in the transaction of the change: its row, its segments, its referral."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from services.quotes.quoting.flows import recording
from services.quotes.quoting.rules.quote import Quote, State
from services.quotes.quoting.rules.referral import Referral, Ruling
from services.quotes.quoting.store import quotes, referrals, segments


def add(session: Session, quote: Quote) -> None:
    """Save a new quote, and that it waits for an underwriter if it does."""
    quotes.add(session, quote)
    segments.add(session, quote)
    _refer(session, quote, Referral(quote.id, quote.revision, quote.created_at))


def save(session: Session, action: str, before: Quote, after: Quote, now: datetime, **details: str) -> None:
    """Save what became of a quote, with the entry of the audit log. One that goes on waiting keeps its place."""
    revised = after.revision != before.revision
    waits = after.recorded_state is State.REFERRED and revised
    referral = referrals.find(session, before) if waits and before.recorded_state is State.REFERRED else None
    quotes.save(session, after, revised=revised)
    recording.record(session, action, before, after, now, **details)
    if revised:
        segments.add(session, after)
        referral = referral or Referral(after.id, after.revision, now)
        _refer(session, after, replace(referral, revision=after.revision))


def decide(session: Session, before: Quote, after: Quote, ruling: Ruling, by: UUID, now: datetime) -> None:
    """Save what an underwriter decided."""
    referral = referrals.find(session, before)
    rules = ",".join(reason.rule_code for reason in before.open_reasons)
    loadings = ",".join(f"{loading.coverage_code or '*'} {loading.rate}" for loading in ruling.loadings)
    conditions = "; ".join(ruling.conditions)
    deductibles = ",".join(f"{code} {amount}" for code, amount in ruling.deductibles)
    save(
        session, "quote_decided", before, after, now,
        decision=ruling.verdict, rules=rules, loadings=loadings, conditions=conditions, deductibles=deductibles,
        reason=ruling.reason,
    )  # fmt: skip
    decided = replace(
        referral, verdict=ruling.verdict, decided_by=by, decided_at=now, reason=ruling.reason, note=ruling.note
    )
    referrals.save(session, decided)


def _refer(session: Session, quote: Quote, referral: Referral) -> None:
    if quote.recorded_state is State.REFERRED:
        referrals.save(session, referral)
        recording.record_referral(session, quote)
