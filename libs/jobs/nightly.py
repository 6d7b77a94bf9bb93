"""Nightly runs: what is done to many things, in batches, each thing by itself.

A module says what is due and what to do with one item; everything else is here:

    RENEW = JobKind("orders.renew_due", Occurrence, "processing", endless=True, daily="02:40")   # in kinds.py

    runner.nightly(database, Run(RENEW, orders.list_due, orders.count_due, within(renew)))       # in jobs.py

    def list_due(session, night, after, limit): ...  # ids behind `after`, in their order: due by `night.at`
    def count_due(session, night): ...               # about how many that will be; shown, and no more than that
    def renew(session, item_id, night): ...          # one item; `night.now` is when its batch began

`within(do)` works in the transaction of the batch, each item in a savepoint: for what needs the own database only.
`Alone(do)` is called with no transaction open, `do(item_id, night)`, for what asks a neighbour: it opens its own ones.
`Batched(prepare)` is the same for large runs: `prepare(session, item_ids, night)` reads at once what the items of a
batch need, and gives what does one item by its id. `together` may do a whole batch at once, as long as all is well.
`Asked(ask, do)` is for items that a neighbour lists: `ask(after, limit, night)` gives the next ones by their ids, and
what is known of each, with no transaction open; `do(session, item_id, known, night)` then works as with `within`, and
`together(session, known, night)` as with `Batched`.

What holds:

- `do` may be called again for an item, and by two at once: it takes the item's lock, looks whether there is still
  something to do, and changes nothing when not.
- An item for which `do` raises is parked with the reason, and the run goes on. It is tried once more at the end of the
  run and in every later one, whether it is still listed or not, until it succeeds. `Unavailable` and `Exhausted` say
  nothing of the item: the job fails, is tried again, and goes on where it was.
- A batch and the watermark behind it are one transaction (`Alone`: an item and the watermark). A run that was killed
  goes on behind it. One worker at a time is at work on a run.
- After a minute the job puts itself back behind what else waits, so that a long run neither blocks the queue nor
  reaches `jobs.time_limit`.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from libs import clock, ids
from libs.db import Database
from libs.errors import Conflict, DomainError, Exhausted, Unavailable
from libs.jobs import parking
from libs.jobs.deferring import defer
from libs.jobs.kinds import Arguments, JobKind

_SLICE = 60.0  # seconds after which a job lets others have their turn
_LEASE = sa.text("now() + interval '2 minutes'")  # how long a worker may be silent over an item that it does alone
_LONGEST_REASON = 500
_FRAMES = 5
_FIRST: Final = UUID(int=0)

log = structlog.get_logger("jobs")

_runs = sa.Table(
    "nightly_runs",
    sa.MetaData(),
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("occasion", sa.Text),
    sa.Column("due_at", sa.DateTime(timezone=True)),
    sa.Column("queue", sa.Text),
    sa.Column("arguments", sa.dialects.postgresql.JSONB),
    sa.Column("watermark", sa.Uuid),
    sa.Column("retried", sa.Uuid),
    sa.Column("listed", sa.Boolean),
    sa.Column("expected", sa.BigInteger),
    sa.Column("done", sa.BigInteger),
    sa.Column("parked", sa.BigInteger),
    sa.Column("holder", sa.Uuid),
    sa.Column("held_until", sa.DateTime(timezone=True)),
    sa.Column("moved_at", sa.DateTime(timezone=True)),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
)


class RunUnderWay(Conflict):
    """Another worker is at work on the run."""

    reason = "CONCURRENT_CHANGE"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The arguments of a kind that runs nightly: for which of its times, in seconds since 1970."""

    timestamp: int


@dataclass(frozen=True, slots=True)
class Night:
    """What a run is for."""

    occasion: str
    """Its name among the runs of its kind: the day, or the period."""
    at: datetime
    """The moment by which something is due to be in it."""
    now: datetime
    """When the batch began."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Items that are done in the transaction of their batch, each in a savepoint, after reading for all of them."""

    prepare: Callable[[Session, Sequence[UUID], Night], Callable[[UUID], None]]
    together: Callable[[Session, Sequence[UUID], Night], None] | None = None
    """Does all items of a batch at once, which is quicker. Where it fails, they are done one by one."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Items each of which is done with no transaction open."""

    do: Callable[[UUID, Night], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """Items that are not listed by the own database: asked for with no transaction open, done in that of the batch."""

    ask: Callable[[UUID, int, Night], Mapping[UUID, Any]]
    do: Callable[[Session, UUID, Any, Night], None]
    together: Callable[[Session, Mapping[UUID, Any], Night], None] | None = None
    """Does all that was asked for at once, as that of `Batched`."""


def within(do: Callable[[Session, UUID, Night], None]) -> Batched:
    """Items that are done in the transaction of their batch, each in a savepoint."""
    return Batched(lambda session, _, night: lambda item_id: do(session, item_id, night))


@dataclass(frozen=True, slots=True)
class Run(Generic[Arguments]):
    """What a kind of run goes through, and what it does with each."""

    kind: JobKind[Arguments]
    list_due: Callable[[Session, Night, UUID, int], Sequence[UUID]] | None
    """None where they are `Asked` for."""
    count_due: Callable[[Session, Night], int]
    work: Batched | Alone | Asked
    batch: int = 100


def carry_out(database: Database, run: Run[Arguments], arguments: Arguments, night: Night) -> None:
    """Begin a run, or go on with it, for a minute; then put what is left into the queue as another job.

    `RunUnderWay` when another worker is at work on it.
    """
    _begin(database, run, arguments, night)
    until = time.monotonic() + _SLICE
    step = {Batched: _do_batch, Alone: _do_alone, Asked: _do_asked}[type(run.work)]
    while step(database, run, replace(night, now=clock.now())):
        if time.monotonic() > until:
            with database.transaction() as session:
                defer(session, run.kind, arguments)
            return


def night_of(database: Database, kind: JobKind[Occurrence], occurrence: Occurrence) -> Night:
    """The night of a daily kind that a job is for.

    A job that was kept from running until after the next night is for that one: both would do the same.
    """
    named = night_at(datetime.fromtimestamp(occurrence.timestamp, UTC))
    with database.reading(fresh=True) as session:
        is_begun = session.scalar(sa.select(sa.exists().where(*_is(kind, named))))
    return named if is_begun else night_at(max(named.at, kind.last_occurrence(clock.now())))


def night_at(at: datetime) -> Night:
    """The night of an occurrence."""
    return Night(f"{at:%Y-%m-%d}", at, clock.now())


def _is(kind: JobKind[Any], night: Night) -> tuple[sa.ColumnElement[bool], ...]:
    return _runs.c.name == kind.name, _runs.c.occasion == night.occasion


def _begin(database: Database, run: Run[Arguments], arguments: Arguments, night: Night) -> None:
    """Note a run that is new, with about how many items it will have."""
    with database.reading(fresh=True) as session:
        if session.scalar(sa.select(sa.exists().where(*_is(run.kind, night)))):
            return
        expected = run.count_due(session, night) + parking.count(session, run.kind.name)
    row = {
        "id": ids.new(),
        "name": run.kind.name,
        "occasion": night.occasion,
        "due_at": night.at,
        "queue": run.kind.queue,
        "arguments": run.kind.dump(arguments),
        "watermark": _FIRST,
        "retried": _FIRST,
        "expected": expected,
    }
    with database.transaction() as session:
        session.execute(insert(_runs).values(row).on_conflict_do_nothing(constraint="nightly_runs_unique"))


def _do_batch(database: Database, run: Run[Any], night: Night) -> bool:
    """Do one batch and move the watermark behind it, together; False when nothing is left."""
    assert isinstance(run.work, Batched)  # noqa: S101
    with database.transaction() as session:
        state = _lock(session, run, night)
        if state.ended_at is not None:
            return False
        items = _next(session, run, state, night)
        together = run.work.together
        if items and together and not state.listed and _are_done(session, lambda: together(session, items, night)):
            outcomes = dict.fromkeys(items, "")
        else:
            do = run.work.prepare(session, items, night) if items else None
            outcomes = {item_id: _outcome(run, item_id, _in_savepoint, session, do) for item_id in items}
        return _move(session, run, state, items, _record(session, run, state, outcomes))


def _are_done(session: Session, together: Callable[[], None]) -> bool:
    """Do all items at once; False, with nothing done, where that fails: which of them is why is found one by one."""
    try:
        with session.begin_nested():
            together()
    except (Unavailable, Exhausted):
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them, the others are done
        log.warning("batch is done one by one", reason=_reason(error), where=_where(error))
        return False
    return True


def _in_savepoint(item_id: UUID, session: Session, do: Callable[[UUID], None]) -> None:
    with session.begin_nested():
        do(item_id)


def _do_asked(database: Database, run: Run[Any], night: Night) -> bool:
    """Ask for the items of one batch, do them, and move the watermark behind them; False when nothing is left."""
    assert isinstance(run.work, Asked)  # noqa: S101
    with database.reading(fresh=True) as session:
        before = session.execute(sa.select(_runs).where(*_is(run.kind, night))).one()
        parked = _next_parked(session, run, before)[:1] if before.listed else []
    if not before.listed:
        known = run.work.ask(before.watermark, run.batch, night)
        items: Sequence[UUID] = list(known)
    else:  # one at a time: where nobody lists it any more there is nothing to be done
        items = parked
        known = run.work.ask(UUID(int=items[0].int - 1), 1, night) if items else {}
    do, together = run.work.do, run.work.together
    with database.transaction() as session:
        state = _lock(session, run, night)
        if state.ended_at is not None:
            return False
        if (state.listed, state.watermark, state.retried) != (before.listed, before.watermark, before.retried):
            raise RunUnderWay

        def do_known(item_id: UUID) -> None:
            if item_id in known:
                do(session, item_id, known[item_id], night)

        if items and together and not state.listed and _are_done(session, lambda: together(session, known, night)):
            outcomes = dict.fromkeys(items, "")
        else:
            outcomes = {item_id: _outcome(run, item_id, _in_savepoint, session, do_known) for item_id in items}
        return _move(session, run, state, items, _record(session, run, state, outcomes))


def _do_alone(database: Database, run: Run[Any], night: Night) -> bool:
    """Do the items of one batch, moving the watermark behind each; False when nothing is left.

    The run is this worker's as long as it gives a sign of life.
    """
    assert isinstance(run.work, Alone)  # noqa: S101
    holder = ids.new()
    with database.transaction() as session:
        state = _lock(session, run, night)
        if state.ended_at is not None:
            return False
        if state.is_held:
            raise RunUnderWay
        items = _next(session, run, state, night)
        if not items:
            return _move(session, run, state, items, {})
        session.execute(_update(state).values(holder=holder, held_until=_LEASE))
    for item_id in items:
        try:
            outcome = _outcome(run, item_id, run.work.do, night)
        except BaseException:
            with database.transaction() as session:
                session.execute(_update(state).where(_runs.c.holder == holder).values(holder=None, held_until=None))
            raise
        with database.transaction() as session:
            kept = {"holder": None, "held_until": None} if item_id == items[-1] else {"held_until": _LEASE}
            _move(session, run, state, [item_id], _record(session, run, state, {item_id: outcome}) | kept, holder)
    return True


def _lock(session: Session, run: Run[Any], night: Night) -> Any:
    """The run as it stands; `RunUnderWay` when another is changing it."""
    held = sa.and_(_runs.c.holder.is_not(None), _runs.c.held_until > sa.func.now()).label("is_held")
    query = sa.select(*_runs.c, held).where(*_is(run.kind, night)).with_for_update(skip_locked=True)
    row = session.execute(query).one_or_none()
    if row is None:
        raise RunUnderWay
    return row


def _next(session: Session, run: Run[Any], state: Any, night: Night) -> Sequence[UUID]:
    """The next items: those that are due; once more, at the end, those that are parked."""
    if state.listed:
        return _next_parked(session, run, state)
    return run.list_due(session, night, state.watermark, run.batch) if run.list_due else []


def _next_parked(session: Session, run: Run[Any], state: Any) -> Sequence[UUID]:
    return parking.list_behind(session, run.kind.name, state.retried, run.batch)


def _outcome(run: Run[Any], item_id: UUID, do: Callable[..., None], *arguments: Any) -> str:
    """Why an item could not be done; empty when it was."""
    try:
        do(item_id, *arguments)
    except (Unavailable, Exhausted):
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the run goes on
        reason = _reason(error)
        log.warning("item parked", job=run.kind.name, item_id=str(item_id), reason=reason, where=_where(error))
        return reason
    return ""


def _reason(error: Exception) -> str:
    what = f"{error.reason}: {error.message}" if isinstance(error, DomainError) else f"{error}"
    return f"{type(error).__name__}: {what}".strip(": ")[:_LONGEST_REASON]


def _where(error: Exception) -> str:
    """The innermost places that an error came through: thousands of items would fill the log with whole tracebacks."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def _record(session: Session, run: Run[Any], state: Any, outcomes: dict[UUID, str]) -> dict[str, Any]:
    """Park the items that could not be done, and un-park the others; gives what is to be noted of the run."""
    done = [item_id for item_id, reason in outcomes.items() if not reason]
    failed = {item_id: reason for item_id, reason in outcomes.items() if reason}
    parked = -parking.release(session, run.kind.name, state.id, done)
    parked += parking.park(session, run.kind.name, state.id, failed)
    return {"done": _runs.c.done + len(done), "parked": _runs.c.parked + parked, "moved_at": sa.func.clock_timestamp()}


def _move(
    session: Session,
    run: Run[Any],
    state: Any,
    items: Sequence[UUID],
    noted: dict[str, Any],
    holder: UUID | None = None,
) -> bool:
    """Move the watermark behind the items; where there were none, end what was gone through. False at the very end.

    `RunUnderWay` where the run is no longer its holder's, who stood still for so long that another took it over.
    """
    is_over = not items and state.listed
    if items:
        moved: dict[str, Any] = {"retried" if state.listed else "watermark": items[-1]}
    else:
        moved = {"ended_at": sa.func.clock_timestamp()} if is_over else {"listed": True}
    held = [_runs.c.holder == holder] if holder else []
    if session.scalar(_update(state).where(*held).values({**noted, **moved}).returning(_runs.c.id)) is None:
        raise RunUnderWay
    if is_over:
        log.info("run ended", job=run.kind.name, occasion=state.occasion, done=state.done, parked=state.parked)
    return not is_over


def _update(state: Any) -> sa.Update:
    return sa.update(_runs).where(_runs.c.id == state.id)
