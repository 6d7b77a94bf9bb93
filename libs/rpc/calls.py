"""The call that is being answered: who calls, with which key, and how much time is left.

It is kept in a context variable, because generated servicer methods have no place for it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import unquote
from uuid import UUID

import grpc

from libs.errors import ConcurrentChange, ResourceNotFound
from libs.identity.authority import AMOUNTS
from libs.identity.callers import ANONYMOUS, Caller
from libs.identity.scopes import EVERYBODY, NOTHING, Of, Scope
from libs.identity.verification import TokenVerifier
from libs.money import Money
from libs.rpc import access
from libs.rpc.methods import ContractError, Method
from libs.rpc.page_tokens import PageTokens

GATEWAY = "gateway"  # the service whose word about addresses counts


@dataclass(slots=True)
class Call:
    """One call. `expires_at` is a moment of the monotonic clock.

    `caller` is whose call it is: of a service that calls for a user, that user; `service` is the one that calls then.
    """

    method: Method
    metadata: dict[str, str]
    expires_at: float
    context: grpc.ServicerContext
    page_tokens: PageTokens
    caller: Caller = ANONYMOUS
    service: str = ""
    fingerprint: bytes = b""
    is_claiming: bool = False  # waits for its idempotency key
    is_kept: bool = False  # its result is stored under its idempotency key
    verifier: TokenVerifier | None = None

    @property
    def seconds_left(self) -> float:
        """Time until the deadline."""
        return self.expires_at - time.monotonic()

    @property
    def scope(self) -> Scope:
        """Whose things the method shows the caller."""
        return self.caller.scope(self.method.access.sees, partner=self.method.access.partner)

    @property
    def idempotency_key(self) -> str:
        """The key that the caller sent; empty when there is none."""
        return self.metadata.get("idempotency-key", "")

    @property
    def client_address(self) -> str:
        """Where the caller is: what the gateway says, if it is the gateway that says so, or the connection's end."""
        address, proof = self.metadata.get("x-forwarded-for", ""), self.metadata.get("x-forwarded-by", "")
        if address and proof and self.verifier and self.verifier.is_service(proof, GATEWAY):
            return address
        return _address_of(self.context.peer())

    def limit(self, currency: str) -> Money:
        """The most that the caller may decide alone, by the amount of their authority that the method looks at.

        `ContractError` when the method does not declare that it looks at one.
        """
        if self.method.access.authority not in AMOUNTS:
            raise ContractError(f"{self.method.full_name} does not declare a limit as its authority in option access")
        return self.caller.authority.limit(self.method.access.authority, currency)

    @property
    def level(self) -> int:
        """The level up to which the caller underwrites. `ContractError` as with `limit`."""
        if self.method.access.authority != access.LEVEL:
            raise ContractError(f"{self.method.full_name} does not declare the authority {access.LEVEL}")
        return self.caller.authority.underwriting_level

    def check_etag(self, etag: str) -> None:
        """Refuse with `ConcurrentChange` when the caller asked for another state of the resource (`If-Match`).

        `ContractError` when the method does not declare that it looks: over HTTP the header would never arrive.
        """
        if not self.method.if_match:
            raise ContractError(f"{self.method.full_name} does not declare option if_match")
        if_match = self.metadata.get("if-match", "")
        if if_match and if_match != "*" and etag not in [tag.strip().strip('"') for tag in if_match.split(",")]:
            raise ConcurrentChange


class Owned(Protocol):
    """Something of a party. What came by a partner also has a `partner_id`, which is None when it came by none."""

    @property
    def user_id(self) -> UUID:
        """The party that it belongs to; a user's own party has the user's UUID."""


_current: ContextVar[Call] = ContextVar("call")
Thing = TypeVar("Thing", bound=Owned)


def current() -> Call:
    """The call that is being answered. `LookupError` outside of one."""
    return _current.get()


def answering() -> Call | None:
    """The call that is being answered; None outside of one."""
    return _current.get(None)


def caller() -> Caller:
    """Who calls; nobody in particular outside of a call."""
    call = _current.get(None)
    return call.caller if call else ANONYMOUS


def scope() -> Scope:
    """Whose things the method that is called shows its caller; nobody's outside of a call."""
    call = _current.get(None)
    return call.scope if call else NOTHING


def scope_of_accounts() -> Scope:
    """As `scope`, for log-ins: people are shown their own account, and none of those whose party they act for."""
    shown, user_id = scope(), caller().user_id
    return shown if shown is EVERYBODY or user_id is None else Of(frozenset({user_id}))


def visible(thing: Thing | None, resource: str) -> Thing:
    """The thing, if it is within the scope of the call; what is not does not exist for the caller."""
    if thing is None or not scope().covers(thing.user_id, getattr(thing, "partner_id", None)):
        raise ResourceNotFound(resource=resource)
    return thing


def owned(thing: Thing | None, resource: str) -> Thing:
    """The thing, if the caller may act on it: it is within the scope of the call, and a user calls.

    A service is shown everybody's things, and acts on none of them in its own name.
    """
    shown = visible(thing, resource)
    if caller().user_id is None:
        raise ResourceNotFound(resource=resource)
    return shown


def seconds_left() -> float | None:
    """Time until the deadline of the current call; None outside of one."""
    call = _current.get(None)
    return call.seconds_left if call else None


def enter(call: Call) -> None:
    """Make it the call that this thread answers."""
    _current.set(call)


def _address_of(peer: str) -> str:
    """`127.0.0.1` of `ipv4:127.0.0.1:54321`; IPv6 comes percent-encoded and in brackets."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind
    return unquote(rest).rpartition(":")[0].strip("[]")
