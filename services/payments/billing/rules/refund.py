"""The rules of refunds: money of an account that goes back to the payments that it came by.

A refund has a part for each payment, the newest payment first: its card is the likeliest to be still there. Each part
has its own end, and the refund's state follows from them. The identifier of a part is the provider's: a part whose end
is not known is asked for, and one that failed for good is tried again as another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.errors import AuthorityExceeded, FourEyes, Refused
from libs.money import Money, total


class CreditTooSmall(Refused):
    """The credit of the account is less than what is to be paid out."""

    reason = "CREDIT_TOO_SMALL"


class MethodExpired(Refused):
    """The money cannot go back the way it came: the card or account that it came from is no more."""

    reason = "METHOD_EXPIRED"


class RefundStateInvalid(Refused):
    """The refund is in a state that does not allow it."""

    reason = "REFUND_STATE_INVALID"


EXPIRED = "method_expired"
"""What providers' adapters call the failure of a refund whose payment method is no more."""


class State(StrEnum):
    """How far a refund has come."""

    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETURNED = "returned"


class PartState(StrEnum):
    """How far a part has come."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETURNED = "returned"


UNSENT = (State.PENDING_APPROVAL, State.APPROVED)
"""The states in which no provider has heard of it."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A payment that was made, and what of it can still be paid back."""

    payment_id: UUID
    left: int
    """Minor units."""


@dataclass(frozen=True, slots=True)
class Recallable:
    """A refund that a transaction made, and what of it no provider has heard of."""

    refund_id: UUID
    amount: int
    """Minor units."""
    not_before: date


@dataclass(frozen=True, slots=True)
class Part:
    """What goes back to one payment."""

    id: UUID
    payment_id: UUID
    amount: Money
    attempt: int = 1
    state: PartState = PartState.WAITING
    provider_reference: str = ""
    failure_code: str = ""
    sent_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that is paid back to whoever paid it."""

    id: UUID
    account_id: UUID
    """The billing account, and its policy."""
    user_id: UUID
    """The party whose account it is."""
    partner_id: UUID | None
    amount: Money
    time_zone: str
    not_before: date
    """The first day on which it is sent, where the policy is."""
    created_at: datetime
    state: State
    parts: tuple[Part, ...]
    """With those that failed and were tried again."""
    transaction_id: UUID | None = None
    """The transaction of the policy that made it."""
    requested_by: UUID | None = None
    """The user who asked for it; None where nobody did."""
    decided_by: UUID | None = None
    note: str = ""
    completed_at: datetime | None = None
    version: int = 1

    @property
    def current(self) -> list[Part]:
        """The last part of each payment: the ones before it failed and were tried again."""
        last = {part.payment_id: part for part in sorted(self.parts, key=lambda part: part.attempt)}
        return list(last.values())

    @property
    def refunded(self) -> Money:
        """What has arrived."""
        return self.sum(PartState.SUCCEEDED)

    def sum(self, *states: PartState) -> Money:
        """What stands in parts of some states."""
        return total((part.amount for part in self.current if part.state in states), self.amount.currency)

    def part(self, part_id: UUID) -> Part | None:
        """One of its parts."""
        return next((part for part in self.parts if part.id == part_id), None)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money is on its way back and nothing keeps it any more."""

    reference: str
    amount: Money
    """What the provider says it paid back."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No money went back, or it came back from where it was sent."""

    reference: str
    code: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Its end is not known yet: it is asked for again."""


Outcome = Succeeded | Failed | Pending


def split(amount: Money, captured: Sequence[Captured]) -> list[tuple[UUID, Money]]:
    """The parts of a refund, by their payments, which are given in their order; less where they have not so much."""
    parts = []
    left = amount.minor
    for payment in captured:
        part = min(left, payment.left)
        if part > 0:
            parts.append((payment.payment_id, Money(part, amount.currency)))
            left -= part
    return parts


def check_request(amount: Money, credit: Money, refundable: Money) -> None:
    """Raise what keeps an amount of a credit from being paid out."""
    if amount > credit:
        raise CreditTooSmall(credit=credit)
    if amount > refundable:
        raise MethodExpired(refundable=refundable)


def approve(refund: Refund, approver: UUID | None, limit: Money) -> Refund:
    """The refund, approved by a person whose limit allows it and who did not ask for it."""
    _check_state(refund, State.PENDING_APPROVAL)
    if approver is None or approver == refund.requested_by:
        raise FourEyes(by="caller")
    check_limit(refund.amount, limit)
    return _changed(refund, state=State.APPROVED, decided_by=approver)


def check_limit(amount: Money, limit: Money) -> None:
    """`AuthorityExceeded` for more than somebody may decide alone."""
    if amount > limit:
        raise AuthorityExceeded(needed=amount, held=limit)


def take_back(refund: Refund, now: datetime, *, by: UUID | None = None, note: str = "") -> tuple[Refund, Money]:
    """The refund as it is when what did not arrive becomes credit again, and how much that is.

    Of one that is with the provider nothing is taken back before its end is known.
    """
    _check_state(refund, State.PENDING_APPROVAL, State.APPROVED, State.FAILED)
    current = {part.id for part in refund.current}
    taken = (PartState.WAITING, PartState.FAILED)
    returned = refund.sum(*taken)
    parts = tuple(
        replace(part, state=PartState.RETURNED, completed_at=now)
        if part.id in current and part.state in taken
        else part
        for part in refund.parts
    )
    decided_by = by if by != refund.requested_by else None
    changed = _changed(refund, parts=parts, decided_by=decided_by or refund.decided_by, note=note or refund.note)
    return replace(changed, state=State.RETURNED, completed_at=now), returned


def send(refund: Refund, now: datetime) -> Refund:
    """The refund, about to be sent: from here on its parts are asked for, whatever happens to who sends them."""
    _check_state(refund, State.APPROVED)
    parts = tuple(
        replace(part, state=PartState.SENT, sent_at=now) if part.state is PartState.WAITING else part
        for part in refund.parts
    )
    return _changed(refund, parts=parts, state=State.SENT)


def retry(refund: Refund, new_id: Callable[[], UUID]) -> Refund:
    """The refund whose parts that failed are tried again. `MethodExpired` where that cannot help."""
    _check_state(refund, State.FAILED)
    failed = [part for part in refund.current if part.state is PartState.FAILED]
    if any(part.failure_code == EXPIRED for part in failed):
        raise MethodExpired(refundable=refund.amount - total((part.amount for part in failed), refund.amount.currency))
    again = [Part(new_id(), part.payment_id, part.amount, part.attempt + 1) for part in failed]
    return _changed(refund, parts=(*refund.parts, *again), state=State.APPROVED, completed_at=None)


def apply(refund: Refund, part_id: UUID, outcome: Outcome, now: datetime) -> Refund:
    """The refund after the provider's answer about a part; the very same one when the answer changes nothing.

    A part that arrived may still come back; one that failed or came back never changes. What contradicts what was
    asked for is taken as no answer.
    """
    part = refund.part(part_id)
    if part is None or part not in refund.current:
        return refund
    match outcome:
        case Succeeded(reference, amount) if part.state is PartState.SENT and amount == part.amount:
            after = replace(part, state=PartState.SUCCEEDED, provider_reference=reference, completed_at=now)
        case Failed(reference, code) if part.state in (PartState.SENT, PartState.SUCCEEDED):
            after = replace(
                part, state=PartState.FAILED, provider_reference=reference, failure_code=code, completed_at=now
            )
        case _:
            return refund
    changed = _changed(refund, parts=tuple(after if item.id == part_id else item for item in refund.parts))
    state = _state_of(changed)
    return replace(changed, state=state, completed_at=None if state is State.SENT else now)


def _state_of(refund: Refund) -> State:
    """What follows for a refund from its parts."""
    states = {part.state for part in refund.current}
    for part_state, state in (
        (PartState.SENT, State.SENT),
        (PartState.WAITING, State.APPROVED),
        (PartState.FAILED, State.FAILED),
        (PartState.RETURNED, State.RETURNED),
    ):
        if part_state in states:
            return state
    return State.SUCCEEDED


def _check_state(refund: Refund, *allowed: State) -> None:
    if refund.state not in allowed:
        raise RefundStateInvalid(state=refund.state)


def _changed(refund: Refund, **changes: object) -> Refund:
    changed: Refund = replace(refund, version=refund.version + 1, **changes)  # type: ignore[arg-type]
    return changed
