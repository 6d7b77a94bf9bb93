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
from libs.identity.callers import ANONYMOUS, Caller
from libs.identity.verification import TokenVerifier
from libs.rpc.methods import ContractError, Method
from libs.rpc.page_tokens import PageTokens

GATEWAY = "gateway"  # the service whose word about addresses counts


@dataclass(slots=True)
class Call:
    """One call. `expires_at` is a moment of the monotonic clock."""

    method: Method
    metadata: dict[str, str]
    expires_at: float
    context: grpc.ServicerContext
    page_tokens: PageTokens
    caller: Caller = ANONYMOUS
    fingerprint: bytes = b""
    is_claiming: bool = False  # waits for its idempotency key
    is_kept: bool = False  # its result is stored under its idempotency key
    verifier: TokenVerifier | None = None

    @property
    def seconds_left(self) -> float:
        """Time until the deadline."""
        return self.expires_at - time.monotonic()

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
    """Something of somebody."""

    @property
    def user_id(self) -> UUID:
        """Whose it is."""


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


def visible(thing: Thing | None, resource: str) -> Thing:
    """The thing, if it is within the caller's scope; what is not does not exist for them."""
    if thing is None or not caller().scope.covers(thing.user_id):
        raise ResourceNotFound(resource=resource)
    return thing


def owned(thing: Thing | None, resource: str) -> Thing:
    """The thing, if it is the caller's own: who only sees it, as admins and services do, cannot act on it."""
    if thing is None or thing.user_id != caller().user_id:
        raise ResourceNotFound(resource=resource)
    return thing


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
