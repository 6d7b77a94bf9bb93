"""The load generators: wrk for HTTP/1.1 and h2load for gRPC, each on the driving core, each bounded in time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.performance import machine

CONNECTIONS = 16
"""Requests under way at a time: more than the threads of a service, so that nobody waits for the generator."""
_PACKAGES = {"wrk": "wrk", "h2load": "nghttp2-client"}
_SPARE = 20.0  # seconds a generator may take on top of its load
_REPORT = Path(__file__).with_name("report.lua")


class CannotMeasure(Exception):
    """A figure cannot be measured here; the message says why, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one burst of requests was answered with. Latencies in milliseconds."""

    requests: int
    per_second: float
    p50: float = 0.0
    p99: float = 0.0


def require(program: str) -> None:
    """Make sure that a generator is there; root on Debian installs it."""
    if shutil.which(program):
        return
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", _PACKAGES[program]]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True, timeout=120, check=False)
            subprocess.run(install, capture_output=True, timeout=240, check=False)
        except subprocess.TimeoutExpired as error:
            raise CannotMeasure(f"{program} could not be installed in time") from error
    if not shutil.which(program):
        raise CannotMeasure(f"{program} is missing: apt-get install {_PACKAGES[program]}")


def http(url: str, authorization: str, seconds: float) -> Load:
    """Read `url` over HTTP/1.1 for a while. `CannotMeasure` when an answer was not a success."""
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{max(1, round(seconds))}s"]
    command += ["--script", str(_REPORT), "--header", f"authorization: {authorization}", url]
    done = machine.run_bounded(command, seconds + _SPARE)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise CannotMeasure(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    found = json.loads(lines[-1])
    if found["failed"] or not found["requests"]:
        raise CannotMeasure(f"{found['failed']} of {found['requests']} requests failed at {url}")
    return Load(found["requests"], found["requests"] / found["seconds"], found["p50"], found["p99"])


@dataclass(frozen=True, slots=True)
class UnaryCall:
    """A gRPC call as h2load sends it: the framed request in a file, and the size of the framed reply."""

    url: str
    authorization: str
    request: Path
    reply_bytes: int


def frame(message: bytes) -> bytes:
    """A message as gRPC puts it on the wire: not compressed, its length before it."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def grpc(call: UnaryCall, seconds: float) -> Load:
    """Repeat a unary call for a while.

    To h2load a gRPC error is a success too. It has no message though, so the bytes that came back tell them apart.
    """
    command = ["h2load", "-t1", "-c1", f"-m{CONNECTIONS}", f"-D{max(1, round(seconds))}", "-d", str(call.request)]
    for header in ("content-type: application/grpc", "te: trailers", f"authorization: {call.authorization}"):
        command += ["-H", header]
    out = machine.run_bounded([*command, call.url], seconds + _SPARE).stdout
    counts = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed", out)
    data = re.search(r"\((\d+)\) data", out)
    rate = re.search(r"([\d.]+) req/s", out)
    if not (counts and data and rate and int(counts[2])):
        raise CannotMeasure(f"h2load failed: {out.strip()[-500:]}")
    requests = int(counts[2])
    # The count includes what was under way at the end, with its reply cut off.
    if int(data[1]) < (requests - CONNECTIONS) * call.reply_bytes:
        raise CannotMeasure(f"calls were answered with errors: {requests} calls, {data[1]} bytes")
    return Load(requests, float(rate[1]))
