"""What administrators see: `/ops`, the platform at a glance, a page and the figures that it fetches from `/ops/data`;
and profiles."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

import grpc.aio

from gateway.http.exchange import NO_STORE, Page, Request, Response
from gateway.pages import profiling
from gateway.pages.health import Health
from gateway.pages.operations import page
from gateway.pages.operations.admission import Admission
from gateway.pages.operations.alerts import Alerts
from gateway.pages.operations.collecting import Collector
from gateway.pages.operations.keys import PublishedKeys
from libs.config import Settings
from libs.identity.service_tokens import ServiceTokens
from libs.telemetry import metrics, recent_page
from libs.telemetry import pages as telemetry_pages


class Operations:
    """The pages for operators, of one worker of the gateway."""

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[str, grpc.aio.Channel],
        tokens: ServiceTokens,
        health: Health,
        keys: PublishedKeys,
    ) -> None:
        self._admission = Admission(settings.auth, keys.fetch)
        self._alerts = Alerts(settings.gateway.alerts_url)
        self._collector = Collector(settings, channels, tokens, health, self._alerts)
        self._html, self._policy = page.build()
        folder = os.environ.get(metrics.MULTIPROCESS_FOLDER)
        if folder:  # the other workers ask this one what it remembers
            recent_page.show(settings)
            telemetry_pages.serve_to_parent(Path(folder))

    def pages(self) -> dict[str, Page]:
        """The pages by path."""
        return {"/ops": self._page, "/ops/data": self._data, **profiling.build(self._admission.admit)}

    async def close(self) -> None:
        """Let go of connections."""
        await asyncio.gather(self._collector.close(), self._alerts.close())

    async def _page(self, _request: Request) -> Response:
        headers = [NO_STORE, (b"content-security-policy", self._policy)]
        return Response(200, self._html, "text/html; charset=utf-8", headers)

    async def _data(self, request: Request) -> Response:
        await self._admission.admit(request.get("authorization"))
        document = await self._collector.collect()
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return Response(200, body, "application/json", [NO_STORE])
