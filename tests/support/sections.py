"""Sections of the configuration with their defaults, but for what a test wants otherwise."""

from __future__ import annotations

from typing import TypeVar

from libs.config import Section, Settings, defaults

Part = TypeVar("Part", bound=Section)


def section(kind: type[Part], **changes: object) -> Part:
    """`section(DbSettings, max_connections=3)`: as `config.yaml` has it otherwise."""
    name = next(name for name, field in Settings.model_fields.items() if field.annotation is kind)
    return kind.model_validate(getattr(defaults(), name).model_dump(by_alias=True) | changes)
