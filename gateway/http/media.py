"""What callers accept and send: content negotiation, and compression of what goes out."""

from __future__ import annotations

import gzip
from functools import lru_cache

import brotli  # type: ignore[import-untyped]

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
COMPRESS_FROM = 1024  # bytes; below it the saving is not worth the time
_GZIP_LEVEL = 5
_BROTLI_QUALITY = 4


@lru_cache(maxsize=256)
def _ranges(header: str) -> tuple[tuple[str, float], ...]:
    """The names in an `Accept` or `Accept-Encoding` header and their weights, less those with a bad one."""
    ranges = []
    for item in header.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = -1.0
        if name and 0 <= weight <= 1:
            ranges.append((name, weight))
    return tuple(ranges)


@lru_cache(maxsize=256)
def choose(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type that the caller likes best, or None. The first offered wins among equals."""
    if not accept.strip():
        return offered[0]
    weights = dict(_ranges(accept))
    best, chosen = 0.0, None
    for name in offered:
        group = name.partition("/")[0] + "/*"
        weight = next((weights[key] for key in (name, group, "*/*") if key in weights), 0.0)
        if weight > best:
            best, chosen = weight, name
    return chosen


@lru_cache(maxsize=256)
def encoding(accept_encoding: str) -> str:
    """The compression to use: `br`, `gzip`, or none."""
    weights = dict(_ranges(accept_encoding))
    best, chosen = 0.0, ""
    for name in ("br", "gzip"):
        weight = weights.get(name, weights.get("*", 0.0))
        if weight > best:
            best, chosen = weight, name
    return chosen


def compress(body: bytes, name: str) -> bytes:
    """The body in the encoding that `encoding` chose. The same body always gives the same bytes."""
    if name == "br":
        return bytes(brotli.compress(body, quality=_BROTLI_QUALITY))
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def is_json(content_type: str) -> bool:
    """Whether a `Content-Type` says JSON in UTF-8."""
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [part[8:].strip('"') for part in parameters if part.startswith("charset=")]
    return name == JSON and all(charset == "utf-8" for charset in charsets)
