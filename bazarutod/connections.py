"""Connections of an operator's command to the databases of the services."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import Connection

from libs.config import Settings

_PATIENCE_MS = 30_000  # an operator waits no longer than this for a statement


@contextmanager
def connected(settings: Settings, services: Sequence[str]) -> Iterator[dict[str, Connection]]:
    """A connection to the database of each service, which commits by itself; the command ends with what is wrong."""
    service = ""
    try:
        with ExitStack() as stack:
            connections = {}
            for service in services:
                url = settings.services[service].db_url
                if not url:
                    sys.exit(
                        f"nothing says where the database of {service} is: start the platform with `bazarutod up`,"
                        f" or set services.{service}.db_url"
                    )
                connections[service] = stack.enter_context(
                    psycopg.connect(
                        url,
                        autocommit=True,
                        connect_timeout=3,
                        application_name="bazarutod",
                        options=f"-c statement_timeout={_PATIENCE_MS} -c timezone=UTC",
                    )
                )
            yield connections
    except psycopg.OperationalError as error:
        sys.exit(f"the database of {service} does not answer: {str(error).strip().splitlines()[-1]}")
    except psycopg.errors.UndefinedTable:
        sys.exit("a database lacks the tables of this program: run `bazarutod migrate` first")
