"""Repeating a call with its idempotency key returns the first result; the effect happens once.

The key is stored in the transaction of the effect. A second call with the key waits for the first one's
transaction, then finds its result. Keys belong to a caller and a method, and remember the request. A call that only
asks what would be (`validate_only`) needs none, and one that it brings is neither looked up nor stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from google.protobuf.message import Message
from google.rpc import status_pb2
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs import clock
from libs.db import Database
from libs.errors import ConcurrentChange, Conflict, DomainError, Invalid
from libs.rpc import calls, errors
from libs.rpc.calls import Call
from libs.rpc.methods import ContractError, Method

KEPT = timedelta(hours=72)
_REAPED = 1000  # keys that one transaction forgets
REPLAYED = "idempotency-replayed"
_KEY = re.compile(r"[\x21-\x7e]{20,255}")

_keys = sa.Table(
    "idempotency_keys",
    sa.MetaData(),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("method", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary),
    sa.Column("reply", sa.LargeBinary),
    sa.Column("status", sa.LargeBinary),
    sa.Column("created_at", sa.DateTime(timezone=True)),
)


class IdempotencyKeyRequired(Invalid):
    """The call needs an idempotency-key of 20 to 255 visible characters."""

    reason = "IDEMPOTENCY_KEY_REQUIRED"


class IdempotencyKeyReused(Invalid):
    """The idempotency key was used before with another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class IdempotencyKeyInUse(Conflict):
    """A call with the same idempotency key is still being worked on."""

    reason = "IDEMPOTENCY_KEY_IN_USE"


class ResultNotKept(RuntimeError):
    """A servicer did not store its result under the caller's key, so that a repeated call would do it all again."""

    def __init__(self, method: Method) -> None:
        super().__init__(f"{method.full_name} takes a key, and did not claim it and keep its result")


class _KeyTaken(BaseException):
    """Another call stored the key first; rolls the transaction back and is never seen outside.

    It is no failure, so that what records failures on the way does not catch it.
    """


@dataclass(frozen=True, slots=True)
class _Stored:
    fingerprint: bytes
    reply: bytes | None
    status: bytes | None


class Keys:
    """The stored keys of one service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, call: Call) -> _Stored | None:
        """What is stored under the key of a call."""
        query = sa.select(_keys.c.fingerprint, _keys.c.reply, _keys.c.status).where(*_of(call))
        with self._database.reading(fresh=True) as session:
            row = session.execute(query).one_or_none()
        return _Stored(*row) if row else None


def step(method: Method, keys: Keys, inner: Callable[[Any, Call], Any]) -> Callable[[Any, Call], Any]:
    """The step of the chain that asks for the key and replays a stored result."""
    reply_class = method.reply_class

    def run(request: Any, call: Call) -> Any:
        if (method.previews and request.validate_only) or not (call.idempotency_key or method.needs_key):
            return inner(request, call)
        if not _KEY.fullmatch(call.idempotency_key):
            raise IdempotencyKeyRequired
        if method.forwards_key:
            return inner(request, call)
        call.fingerprint = _fingerprint(request, method)
        stored = keys.find(call)
        if stored is None:
            try:
                reply = inner(request, call)
            except _KeyTaken:
                stored = keys.find(call)
            except ConcurrentChange as error:
                if not call.is_claiming:
                    raise
                raise IdempotencyKeyInUse from error  # the first call's transaction outlasted the wait for its lock
            else:
                if not call.is_kept:
                    raise ResultNotKept(method)
                return reply
        return _replay(stored, call, reply_class)

    return run


def claim(session: Session) -> None:
    """Begin the effect: first statement of the transaction. Waits while the same key is being worked on.

    The transaction cannot be committed before the result is kept: `ResultNotKept` undoes it.
    """
    call = calls.current()
    if not call.fingerprint:
        return
    row = {
        "subject": call.caller.subject,
        "method": call.method.full_name,
        "key": call.idempotency_key,
        "fingerprint": call.fingerprint,
    }
    call.is_claiming = True
    stored = session.execute(insert(_keys).values(row).on_conflict_do_nothing().returning(_keys.c.key))
    call.is_claiming = False
    if stored.one_or_none() is None:
        raise _KeyTaken
    sa.event.listen(session, "before_commit", lambda _: _check_kept(call), once=True)


def forwarded() -> tuple[tuple[str, str], ...]:
    """The metadata of the call to the neighbour that keeps the caller's key. Nobody else makes the same key of it.

    `ContractError` when the method does not declare that it forwards its key.
    """
    call = calls.current()
    if not call.method.forwards_key:
        raise ContractError(f"{call.method.full_name} does not declare that it forwards its idempotency key")
    parts = "\n".join((call.caller.subject, call.method.full_name, call.idempotency_key))
    return (("idempotency-key", hashlib.sha256(parts.encode()).hexdigest()),)


def keep(session: Session, outcome: Message | DomainError) -> None:
    """Store the outcome with the effect: the reply, or the error that the effect ended in."""
    call = calls.current()
    if not call.fingerprint:
        return
    if isinstance(outcome, DomainError):
        values = {"status": errors.to_status(outcome).SerializeToString(), "reply": None}
    else:
        values = {"reply": outcome.SerializeToString(), "status": None}
    statement = sa.update(_keys).where(*_of(call)).values(values).returning(_keys.c.key)
    if session.execute(statement).one_or_none() is None:
        raise ResultNotKept(call.method)
    call.is_kept = True


def reap(database: Database) -> None:
    """Forget keys that are older than any caller repeats, in steps that no statement's time limit ends."""
    of_row = sa.tuple_(_keys.c.subject, _keys.c.method, _keys.c.key)
    old = sa.select(_keys.c.subject, _keys.c.method, _keys.c.key).where(_keys.c.created_at < clock.real_now() - KEPT)
    some = sa.delete(_keys).where(of_row.in_(old.order_by(_keys.c.created_at).limit(_REAPED))).returning(_keys.c.key)
    gone = _REAPED
    while gone == _REAPED:
        with database.transaction() as session:
            gone = len(session.scalars(some).all())


def _fingerprint(request: Message, method: Method) -> bytes:
    """What a repeated request is recognised by. Secrets are left out of it: a fast hash would give them away."""
    if method.secret_fields:
        public = type(request)()
        public.CopyFrom(request)
        for path in method.secret_fields:
            parent, _, name = path.rpartition(".")
            if not parent or public.HasField(parent):
                (getattr(public, parent) if parent else public).ClearField(name)
        request = public
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _check_kept(call: Call) -> None:
    if not call.is_kept:
        raise ResultNotKept(call.method)


def _replay(stored: _Stored | None, call: Call, reply_class: type[Message]) -> Message:
    if stored is None:
        raise IdempotencyKeyInUse
    if stored.fingerprint != call.fingerprint:
        raise IdempotencyKeyReused
    call.context.send_initial_metadata(((REPLAYED, "true"),))
    if stored.status is not None:
        raise errors.RemoteError(status_pb2.Status.FromString(stored.status))
    if stored.reply is None:
        raise IdempotencyKeyInUse
    return reply_class.FromString(stored.reply)


def _of(call: Call) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _keys.c.subject == call.caller.subject,
        _keys.c.method == call.method.full_name,
        _keys.c.key == call.idempotency_key,
    )
