"""What workers remember, read from the page beside their metrics: they answer no RPC."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from libs.identity.service_tokens import ServiceTokens
from libs.telemetry import recent_page

_PATIENCE = 1.8  # seconds
NOWHERE = "NOWHERE"  # no address from which this machine could read the page
SILENT = "SILENT"  # nobody answers there, or not in time
STRANGE = "STRANGE"  # somebody answers, but not with the page

Remembered = Mapping[str, list[dict[str, Any]]]


class Workers:
    """Asks the worker of every service. On another machine `worker_metrics` must be where this one finds it."""

    def __init__(self, addresses: Mapping[str, str], tokens: ServiceTokens) -> None:
        self._addresses = addresses
        self._tokens = tokens
        self._http = httpx.AsyncClient(trust_env=False, timeout=_PATIENCE)

    async def ask(self, trace_ids: list[str]) -> dict[str, Remembered | str]:
        """By service: errors and spans of its worker, or one of the words above."""
        names = list(self._addresses)
        answers = await asyncio.gather(*(self._ask(self._addresses[name], trace_ids) for name in names))
        return dict(zip(names, answers, strict=True))

    async def close(self) -> None:
        """Let go of connections."""
        await self._http.aclose()

    async def _ask(self, address: str, trace_ids: list[str]) -> Remembered | str:
        if address.startswith("0.0.0.0:"):  # where it listens, not where it is
            return NOWHERE
        try:
            async with asyncio.timeout(_PATIENCE):
                url = f"http://{address}{recent_page.question(trace_ids)}"
                answer = await self._http.get(url, headers={"authorization": self._tokens.header()})
                document = answer.raise_for_status().json()
            return {"errors": list(document["errors"]), "spans": list(document["spans"])}
        except (httpx.TransportError, TimeoutError):
            return SILENT
        except (httpx.HTTPError, ValueError, LookupError, TypeError):
            return STRANGE
