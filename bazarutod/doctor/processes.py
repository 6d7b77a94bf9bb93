"""Does each process run, can it do its work, and is it the version that it should be?"""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bazarutod.doctor.finding import Finding, Patient
from bazarutod.stack import Process
from libs.version import VERSION

_CONNECT = 0.5  # seconds
_HEALTH = 1.5
_PAGE = 1.0
_READY = 2.4  # the gateway itself waits two seconds for its services
_VERSIONS = re.compile(r'^bazaruto_build_info\{[^}]*\bversion="([^"]*)"', re.MULTILINE)
_POOL = re.compile(r"^bazaruto_db_connections_(active|max|waiting) (\S+)$", re.MULTILINE)
_FULL = 0.9  # as the alert PoolSaturation


class Silent(Exception):
    """Something accepts connections and answers nothing."""


class Absent(Exception):
    """Nobody listens."""


def look(process: Process, patient: Patient) -> Iterator[Finding]:
    """What can be said of one process."""
    address = _address(process, patient)
    elsewhere = _is_elsewhere(process, patient)
    if elsewhere and process.verb == "work":
        yield Finding("process", process.name, "ok", "runs on another machine; what is known here is its heartbeat")
        return
    try:
        _connect(address)
        unwell = _what_it_lacks(process, patient)
        page = "" if elsewhere else _page(process, patient)
    except Absent:
        said = f"is not running: nobody listens on {address}"
        yield _failure(process, said, f"Read the end of its log, then {_restart(process, patient)}")
    except Silent:
        said = f"does not answer, though {address} accepts connections: it is stopped, stuck or overloaded"
        yield _failure(
            process, said, f"Read the end of its log, kill it when it hangs, then {_restart(process, patient)}"
        )
    else:
        if unwell:
            yield _failure(process, f"answers, and says: {unwell}", "See what it depends on below, then its log.")
        else:
            yield Finding("process", process.name, "ok", "answers and can do its work")
        if not elsewhere:
            yield _version(process, page, _restart(process, patient))
            yield from _pool(process, page)


def _address(process: Process, patient: Patient) -> str:
    """Where the process says how it is."""
    if process.module == "gateway.main":
        return patient.settings.gateway.listen
    service = patient.settings.services[process.service]
    return service.worker_metrics if process.verb == "work" else service.target.rpartition("/")[2]


def _is_elsewhere(process: Process, patient: Patient) -> bool:
    """Whether others reach the service by another address than it listens at: it has a machine or a pod of its own.

    Then its gRPC is reached from here, and its pages and its worker are not.
    """
    service = patient.settings.services.get(process.service)
    return service is not None and service.address not in ("", service.listen)


def _connect(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT).close()
    except TimeoutError:
        raise Silent from None
    except OSError:
        raise Absent from None


def _what_it_lacks(process: Process, patient: Patient) -> str:
    """Why the process cannot do its work, in its own words; nothing when it can."""
    if process.verb == "work":
        return ""  # a worker has no opinion of itself; its heartbeat stands in the database
    if process.module == "gateway.main":
        return _gateway_lacks(patient)
    try:
        with grpc.insecure_channel(patient.settings.services[process.service].target) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH)
    except grpc.RpcError as error:
        code: grpc.StatusCode | None = getattr(error, "code", lambda: None)()
        if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
            raise Silent from None
        return f"its health check ends with {code.name if code else error}"
    return "" if answer.status == health_pb2.HealthCheckResponse.SERVING else "it is not serving"


def _gateway_lacks(patient: Patient) -> str:
    base = f"http://{patient.settings.gateway.listen}"
    _get(f"{base}/livez", _PAGE)  # at once, when it is well; /readyz waits for others
    status, body = _get(f"{base}/readyz", _READY)
    if status == 200:
        return ""
    try:
        services = json.loads(body)["services"]
    except (ValueError, KeyError):
        return f"/readyz is {status}"
    down = [name for name, state in services.items() if state != "healthy"]
    return f"it does not reach {', '.join(down)}" if down else "it is stopping"


def _page(process: Process, patient: Patient) -> str:
    """The metrics of the process."""
    service = patient.settings.services.get(process.service)
    if service is None:
        address = patient.settings.gateway.listen
    else:
        address = service.worker_metrics if process.verb == "work" else service.metrics
    return _get(f"http://{address}/metrics", _PAGE)[1]


def _version(process: Process, page: str, restart: str) -> Finding:
    others = sorted(set(_VERSIONS.findall(page)) - {VERSION})
    if others:
        said = f"runs {', '.join(others)}, and this program is {VERSION}"
        return Finding("version", process.name, "warning", said, f"To have this version, {restart}")
    if not _VERSIONS.search(page):
        said = "does not say its version"
        return Finding("version", process.name, "warning", said, "See whether another program listens there.")
    return Finding("version", process.name, "ok", f"is {VERSION}, like this program")


def _pool(process: Process, page: str) -> Iterator[Finding]:
    counts = {name: float(value) for name, value in _POOL.findall(page)}
    if not counts.get("max"):
        return  # the gateway has no database
    active, most, waiting = (int(counts.get(name, 0)) for name in ("active", "max", "waiting"))
    if waiting or active > most * _FULL:
        said = f"uses {active} of its {most} database connections, requests that wait for one: {waiting}"
        yield Finding("pool", process.name, "warning", said, "See who holds them: bazarutod db status")
    else:
        yield Finding("pool", process.name, "ok", "has database connections to spare")


def _get(url: str, seconds: float) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:  # noqa: S310 - an address of our own
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except OSError:
        raise Silent from None


def _restart(process: Process, patient: Patient) -> str:
    """How the process is started again, where this machine runs all of them or each as a unit."""
    if (patient.folder / "state.json").exists():
        return f"see that bazarutod up starts it again ({patient.folder}/logs/{process.name}.log)"
    role = "worker" if process.verb == "work" else "server"
    unit = "gateway" if process.module == "gateway.main" else f"{role}@{process.service}"
    return f"systemctl restart bazaruto-{unit}"


def _failure(process: Process, said: str, advice: str) -> Finding:
    return Finding("process", process.name, "failure", said, advice)
