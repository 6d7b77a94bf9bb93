"""The servicer that reads policies, on the library alone: `python -m …contenders.bare ADDRESS`.

Same database and as many threads as the service has; nothing is logged, counted, traced, checked or asked.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from tests.performance.contenders.platform_code import Database, load, unasked_policies


def main(address: str) -> None:
    """Serve until SIGTERM."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    settings = load()
    database = Database(settings.services["policies"].db_url, settings.db, "bench-bare")
    servicer, add = unasked_policies(database)
    server = grpc.server(ThreadPoolExecutor(settings.threads, "call"))
    add(servicer, server)
    server.add_insecure_port(address)
    database.open()
    server.start()
    stopping.wait()
    server.stop(0).wait()


if __name__ == "__main__":
    main(sys.argv[1])
