"""Spans of time as people give them to commands."""

from __future__ import annotations

from datetime import timedelta

import typer
from pydantic import TypeAdapter, ValidationError

from libs.config import Duration

_duration: TypeAdapter[timedelta] = TypeAdapter(Duration)


def parsed_duration(text: str) -> timedelta:
    """`15m`, `36h`, `7d`, `2w`. `BadParameter` when it is none."""
    try:
        return _duration.validate_python(text)
    except (ValidationError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a duration such as 30s, 15m, 1h, 7d or 2w") from None
