"""Kinds of errors. The domain raises named states; each is one of these kinds and has one reason.

A subclass is a state (`QuoteExpired`), sets `reason` to a name of the contract's `ErrorReason`, and lets its
docstring be the message. `libs.rpc.errors` turns kinds into gRPC codes; nobody else mentions codes.
"""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """Something a caller asked for cannot be done. `metadata` names the things it is about."""

    reason: ClassVar[str] = "ERROR_REASON_UNSPECIFIED"
    message: str

    def __init__(self, message: str = "", **metadata: object) -> None:
        self.message = message or " ".join((type(self).__doc__ or "").split())
        self.metadata = {name: str(value) for name, value in metadata.items()}
        super().__init__(self.message)


class Invalid(DomainError):
    """The request itself is wrong; repeating it cannot help."""


class Unauthenticated(DomainError):
    """The caller is not known."""


class Denied(DomainError):
    """The caller is known and may not do this."""


class NotFound(DomainError):
    """No such thing, or none that the caller may see."""


class AlreadyExists(DomainError):
    """The thing exists already."""


class Refused(DomainError):
    """The state of things does not allow it; it may after the state changes."""


class Conflict(DomainError):
    """Lost a race with another change; read again and repeat."""


class Exhausted(DomainError):
    """Too much at once; repeat later."""

    retry_after: float = 0  # seconds to wait; 0 leaves it to the kind


class TooLate(DomainError):
    """The deadline leaves no time for it."""


class Unavailable(DomainError):
    """Something that is needed does not answer now; repeat later."""


class ResourceNotFound(NotFound):
    """There is no such resource."""

    reason = "RESOURCE_NOT_FOUND"


class FieldInvalid(Invalid):
    """A field breaks a rule of the contract."""

    reason = "INVALID_FIELD"

    def __init__(self, message: str = "", *, violations: dict[str, str] | None = None) -> None:
        """`violations` maps the path of each wrong field, for example `risk.answers`, to what is wrong with it."""
        self.violations = violations or {}
        summary = "; ".join(f"{path}: {text}" if path else text for path, text in self.violations.items())
        super().__init__(message or summary)


class AuthorityExceeded(Denied):
    """It is more than the caller may decide alone. `needed` and `held` are levels or amounts."""

    reason = "AUTHORITY_EXCEEDED"


class FourEyes(Denied):
    """Somebody else has to decide this: `by` has had a part in it."""

    reason = "FOUR_EYES"


class ConcurrentChange(Conflict):
    """The resource changed since it was read."""

    reason = "CONCURRENT_CHANGE"
