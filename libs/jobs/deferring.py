"""Putting a job into its queue."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import procrastinate
from sqlalchemy.orm import Session

from libs import clock
from libs.jobs.kinds import Arguments, JobKind
from libs.telemetry import traces

TRACE: Final = "_trace"  # the argument in which the trace context travels
MOMENT: Final = "_at"  # the argument that says which moment of the domain's clock the job waits for

# The deferring side needs the queue's statements only, never its own connection.
_deferrer = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())


def defer(
    session: Session, kind: JobKind[Arguments], arguments: Arguments, *, lock: str = "", at: datetime | None = None
) -> None:
    """Defer a job inside the session's transaction.

    Jobs with the same `lock` never run at the same time. `at` is the earliest moment of the domain's clock at
    which it may run; the queue goes by the machine's, so when the former is moved, what waits is set anew.
    """
    connection = session.connection().connection.driver_connection
    stored = kind.dump(arguments)
    if carrier := traces.inject():
        stored[TRACE] = carrier
    if at is not None:
        stored[MOMENT] = at.isoformat()
    _deferrer.configure_task(
        kind.name,
        queue=kind.queue,
        priority=kind.priority,
        lock=lock or None,
        schedule_at=at and at - clock.offset(),
        connection=connection,
    ).defer(**stored)
