"""Alerts that Alertmanager or Prometheus tells of, whichever `gateway.alerts_url` leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx

_PATIENCE = 1.8  # seconds
_MOST_BYTES = 1 << 20
_MOST = 50
_ORDER = {"critical": 0, "warning": 1}  # whatever else there is comes after


class TooLong(Exception):
    """The answer is larger than any list of alerts that somebody would read."""


class Alerts:
    """Asks for the alerts that there are."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) if url else None

    async def read(self) -> dict[str, Any]:
        """The alerts, the worst and newest first; or why there are none to be had."""
        if self._http is None:
            return {"configured": False, "error": "", "alerts": []}
        try:
            async with asyncio.timeout(_PATIENCE), self._http.stream("GET", self._url) as answer:
                answer.raise_for_status()
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise TooLong
            alerts = list(parse(httpx.Response(200, content=body).json()))
        except (httpx.HTTPError, TimeoutError, ValueError, LookupError, TypeError, AttributeError, TooLong) as error:
            return {"configured": True, "error": f"no list of alerts there: {type(error).__name__}", "alerts": []}
        alerts.sort(key=lambda alert: alert["since"], reverse=True)
        alerts.sort(key=lambda alert: _ORDER.get(alert["severity"], len(_ORDER)))
        return {"configured": True, "error": "", "alerts": alerts[:_MOST]}

    async def close(self) -> None:
        """Let go of the connection."""
        if self._http is not None:
            await self._http.aclose()


def parse(document: Any) -> Iterator[dict[str, str]]:
    """Alerts in either form: a list is Alertmanager's, an object with `data` is Prometheus'."""
    listed = document if isinstance(document, list) else document["data"]["alerts"]
    for alert in listed:
        labels, notes, state = alert["labels"], alert.get("annotations", {}), alert.get("state")
        if state is None:
            state = alert["status"]["state"]
        yield {
            "name": str(labels.get("alertname", "")),
            "severity": str(labels.get("severity", "")),
            "state": str(state),
            "summary": str(notes.get("summary", "")),
            "description": str(notes.get("description", "")),
            "since": str(alert.get("startsAt") or alert.get("activeAt") or ""),
        }
