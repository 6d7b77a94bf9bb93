"""What is past due of a policy, as far as it is dunned; and until when a policy covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.rules.transaction import ENDINGS, Kind


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction of a policy did to the days of its cover."""

    id: UUID
    kind: Kind
    term_number: int
    term_ends_on: date | None
    effective_on: date
    reverses: UUID | None
    term_starts_on: date | None = None


def past_due(unsettled: Sequence[Invoice], today: date) -> list[Invoice]:
    """The invoices that should have been paid before today, those that fell due first before the others."""
    late = [item for item in unsettled if item.due_on < today]
    return sorted(late, key=lambda item: (item.due_on, item.id))


def dunned(unsettled: Sequence[Invoice], today: date) -> list[Invoice]:
    """Those of them that are dunned: nobody is dunned for cover that waits for its first premium.

    Without the first premium of a policy there is none at all; without that of a later term, none in that term.
    """
    waiting = {item.term_number for item in unsettled if item.payable_until}
    return [item for item in past_due(unsettled, today) if not waiting & {1, item.term_number}]


def cover_ends_on(changes: Iterable[Change]) -> date | None:
    """The first day without cover, as the transactions of a policy leave it; None where it is not known.

    They are in their order. A cancellation, a lapse or a contract that was not taken ends cover; a reinstatement, and
    the reversal of such an end, undo that. A later term that was not taken is as if it had not been.
    """
    terms, endings = _standing(changes)
    if endings:
        return min(endings.values())
    days = list(terms.values())
    return None if None in days else max((day for day in days if day), default=None)


def ended_on(changes: Iterable[Change]) -> date | None:
    """The first day without cover where a cancellation, a lapse or another end stands before that of the last term."""
    _, endings = _standing(changes)
    return min(endings.values(), default=None)


def _standing(changes: Iterable[Change]) -> tuple[dict[UUID, date | None], dict[UUID, date]]:
    """When terms end by themselves, and when cover is ended, by the transactions that stand."""
    terms: dict[UUID, date | None] = {}
    numbers: dict[UUID, int] = {}
    endings: dict[UUID, date] = {}
    for change in changes:
        if change.kind in (Kind.NEW_BUSINESS, Kind.RENEWAL):
            terms[change.id], numbers[change.id] = change.term_ends_on, change.term_number
        elif change.kind is Kind.NOT_TAKEN and change.term_number > 1:
            terms = {key: day for key, day in terms.items() if numbers[key] != change.term_number}
        elif change.kind in ENDINGS:
            endings[change.id] = change.effective_on
        elif change.kind is Kind.REINSTATEMENT:
            endings.clear()
        elif change.kind is Kind.REVERSAL and change.reverses:
            terms.pop(change.reverses, None)
            endings.pop(change.reverses, None)
    return terms, endings


def begins_no_cover(changes: Sequence[Change], term_number: int, paid_on: date) -> bool:
    """Whether cover of a term had ended when it was to begin: on its first day, or when its premium was paid."""
    ends_on = cover_ends_on(changes)
    starts = [change.term_starts_on for change in changes if change.term_number == term_number]
    return ends_on is not None and any(starts_on and ends_on <= max(starts_on, paid_on) for starts_on in starts)
