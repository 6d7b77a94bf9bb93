"""A function that burns time and one that keeps memory, in this process, and the pages on which profiles show them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from libs.telemetry import pages
from tests.support.servers import free_address


@contextmanager
def own_pages() -> Iterator[str]:
    """Serve the pages of this process within; gives their address."""
    address = free_address()
    server = pages.serve(address)
    try:
        yield f"http://{address}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def hot_loop() -> Iterator[None]:
    """A thread burns time within, among eight that wait."""
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(8)]
    threads.append(threading.Thread(target=planted_hot_loop, args=(stop,)))
    with _running(threads, stop):
        yield


@contextmanager
def allocator() -> Iterator[None]:
    """A thread keeps more and more memory within."""
    stop = threading.Event()
    with _running([threading.Thread(target=planted_allocator, args=([], stop))], stop):
        yield


def planted_hot_loop(stop: threading.Event) -> None:
    while not stop.is_set():
        for _ in range(1000):
            pass


def planted_allocator(held: list[Any], stop: threading.Event) -> None:
    while not stop.wait(0.01):
        held.append(bytearray(100_000))


@contextmanager
def _running(threads: list[threading.Thread], stop: threading.Event) -> Iterator[None]:
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
