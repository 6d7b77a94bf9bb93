"""`/debug/recent`: what a process remembers of its last minutes, for the other processes of the platform only.

A worker answers no RPC, so the gateway asks it here; a copy of a server asks the others, so that one speaks for all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from libs.config import Settings
from libs.identity.callers import TokenInvalid
from libs.identity.service_tokens import ServiceTokens
from libs.identity.verification import TokenVerifier
from libs.telemetry import metrics, pages, recent

PATH: Final = "/debug/recent"
_MOST_TRACES: Final = 50
_MOST_SPANS: Final = 1000
_PATIENCE: Final = 0.3  # seconds for a copy on the same machine


def show(settings: Settings) -> None:
    """Show it among the pages of this process."""
    verifier = TokenVerifier(settings.auth, dict, frozenset)  # services know each other by a secret; no key is needed

    def page(query: str, authorization: str) -> pages.Answer:
        try:
            known = bool(verifier.verify(authorization).service)
        except TokenInvalid:
            known = False
        if not known:
            return 404, "text/plain; charset=utf-8", b"there is no such page\n"
        asked = parse_qs(query)
        trace_ids = [one for one in asked.get("trace_id", [])[:_MOST_TRACES] if _is_trace_id(one)]
        latest = asked.get("latest", ["0"])[0]
        snapshot = recent.snapshot(trace_ids, min(int(latest), _MOST_SPANS) if latest.isdecimal() else 0)
        return 200, "application/json", json.dumps(snapshot).encode()

    pages.add(PATH, page)


def question(trace_ids: Collection[str] = (), latest: int = 0) -> str:
    """The path to ask for, with its query."""
    return f"{PATH}?{urlencode([('latest', latest), *(('trace_id', one) for one in trace_ids)])}"


def of_all_copies(
    tokens: ServiceTokens, trace_ids: Collection[str] = (), latest: int = 0
) -> dict[str, list[dict[str, Any]]]:
    """What this process remembers, and the copies that share its port, if there are any."""
    memory = recent.snapshot(trace_ids, latest)
    folder = os.environ.get(metrics.MULTIPROCESS_FOLDER)
    if folder:
        for body in pages.ask_others(Path(folder), question(trace_ids, latest), tokens.header(), _PATIENCE):
            other = json.loads(body)
            for key, items in memory.items():
                items.extend(other[key])
    return memory


def _is_trace_id(text: str) -> bool:
    """Whether it is one: 32 hexadecimal digits."""
    return len(text) == 32 and all(digit in "0123456789abcdef" for digit in text)
