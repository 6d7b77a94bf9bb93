"""A real S3 on loopback, which keeps what it is given in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from bazarutod.ports import free_port
from tests.deploy.programs import eventually, program


@contextmanager
def running_s3(bucket: str) -> Iterator[str]:
    """The address of an S3 with one bucket."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [program("moto_server"), "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            eventually(lambda: _has(f"{url}/{bucket}"))
            yield url
        finally:
            server.terminate()


def _has(bucket: str) -> bool:
    """Make a bucket; False while nobody answers."""
    try:
        return httpx.put(bucket).is_success
    except httpx.TransportError:
        return False
