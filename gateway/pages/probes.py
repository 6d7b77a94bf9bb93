"""What the gateway answers itself: health, metrics, version, the OpenAPI document and the reference page."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from gateway.http import conditional, problems
from gateway.http.exchange import NO_STORE, Headers, Networks, Page, Request, Response
from gateway.pages.health import Health
from libs.telemetry import metrics
from libs.version import VERSION

_REVALIDATE: Headers = [(b"cache-control", b"public, no-cache")]


def build(health: Health, openapi: bytes, docs: bytes, docs_policy: str, proxies: Networks) -> dict[str, Page]:
    """The pages by path."""

    async def livez(_request: Request) -> Response:
        return _json(200, {"status": "healthy", "version": VERSION})

    async def readyz(_request: Request) -> Response:
        return _status(await health.ready())

    async def healthz(_request: Request) -> Response:
        return _status(await health.report())

    async def version(_request: Request) -> Response:
        return _json(200, {"name": "bazaruto", "version": VERSION})

    async def show_metrics(request: Request) -> Response:
        _only_from_inside(request, proxies)
        return Response(200, metrics.page(), CONTENT_TYPE_LATEST, [NO_STORE])

    return {
        "/livez": livez,
        "/readyz": readyz,
        "/healthz": healthz,
        "/healthz/detailed": healthz,
        "/version": version,
        "/metrics": show_metrics,
        "/openapi.json": _fixed(openapi, "application/json", list(_REVALIDATE)),
        "/docs": _fixed(
            docs,
            "text/html; charset=utf-8",
            [*_REVALIDATE, (b"content-security-policy", docs_policy.encode())],
        ),
    }


def _fixed(body: bytes, content_type: str, headers: Headers) -> Page:
    etag = conditional.of_body(body)

    async def page(_request: Request) -> Response:
        return Response(200, body, content_type, list(headers), etag)

    return page


def _only_from_inside(request: Request, proxies: Networks) -> None:
    """Metrics are for the machine and its network: to a caller from outside they do not exist."""
    client_address = request.client_address(proxies)
    try:
        address = ip_address(client_address)
    except ValueError:
        raise problems.unknown_path() from None
    through_a_stranger = bool(request.get("x-forwarded-for")) and client_address == request.peer
    if through_a_stranger or not (address.is_loopback or address.is_private):
        raise problems.unknown_path()


def _status(document: dict[str, Any]) -> Response:
    return _json(200 if document["status"] == "healthy" else 503, document)


def _json(status: int, document: dict[str, Any]) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode()
    headers = [NO_STORE]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    return Response(status, body, "application/json", headers)
