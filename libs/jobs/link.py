"""The way from a worker to its database: whether it holds, how to try again, and when trying again is no use."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from typing import Any, Final
from weakref import WeakSet

import procrastinate
import psycopg
from procrastinate.exceptions import AppNotOpen, ConnectorException

_FIRST_WAIT = 0.5  # seconds
_LONGEST_WAIT = 5.0
_PATIENCE = 10.0  # seconds that a statement waits for one of the connections
_RECONNECT_SECONDS = 2.0  # then the next statement tries anew: waits that grow for minutes would outlast an outage

# A refused connection has no error code in libpq, only a text: PostgreSQL's and PgBouncer's, as they are in English.
# A refusal in another language is waited for like a server that is not there.
_REFUSALS: Final = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no such database",
    "no such user",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied",
)

LOST: Final = (ConnectorException, AppNotOpen)
"""What a statement raises when it could not be made."""


class DatabaseRefused(RuntimeError):
    """The database answers, and does not let this worker work; waiting does not mend that."""


class DatabaseSilent(RuntimeError):
    """The database holds its connections, and says nothing."""


class Link:
    """The connections of one worker. They are lost together, and made anew together.

    `with link:` is for what ends when they do: a statement that cannot be made is not raised, it loses the link.
    """

    def __init__(self, url: str, name: str) -> None:
        """`url` is a libpq URL; `name` is what the server shows as the application."""
        self._url = url
        self._options: dict[str, Any] = {"application_name": name, "connect_timeout": 3}
        self._connections: WeakSet[psycopg.AsyncConnection[Any]] = WeakSet()
        self.connector = procrastinate.PsycopgConnector(
            conninfo=url,
            min_size=0,  # nothing is tried in vain while nobody asks
            max_size=3,
            timeout=_PATIENCE,
            reconnect_timeout=_RECONNECT_SECONDS,
            configure=self._remember,
            kwargs=self._options,
        )
        self.lost = asyncio.Event()
        self.reason: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> bool:
        if isinstance(error, LOST):
            self.lose(error)
            return True
        return False

    async def reach(self) -> None:
        """Ask whether the database answers and has a queue, once. `psycopg.Error` when not."""
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **self._options)
        async with connection:
            await connection.execute("SELECT FROM procrastinate_workers LIMIT 0")

    async def open(self) -> None:
        """Begin anew."""
        self.lost.clear()
        self.reason = None
        await self.connector.open_async()

    def lose(self, error: BaseException) -> None:
        """Say that the database is gone; the first to say so gives the reason."""
        if not self.lost.is_set():
            self.reason = error.__cause__ or error
            self.lost.set()

    async def close(self) -> None:
        """End every connection, even one whose statement is never answered, and let nobody wait for one."""
        for connection in self._connections:
            _hang_up(connection)
        await self.connector.close_async()

    async def _remember(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connections.add(connection)


def wait_before(attempt: int) -> float:
    """The seconds before a further try: they double up to a cap, and no two workers come at the same moment."""
    longest: float = min(_FIRST_WAIT * 2 ** min(attempt, 10), _LONGEST_WAIT)
    return longest * random.uniform(0.8, 1.2)  # noqa: S311


def is_refusal(error: psycopg.Error) -> bool:
    """Whether somebody has to mend the configuration, or the database, before this worker can work."""
    if isinstance(error, psycopg.OperationalError):
        return any(text in str(error) for text in _REFUSALS)
    return True


def _hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """Close the socket in both directions: whoever waits for an answer hears at once that none will come."""
    if connection.closed:
        return
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        try:
            line.shutdown(socket.SHUT_RDWR)
        except OSError:  # the other side was faster
            return
