"""What a check of `bazarutod doctor` says, and what it is told about the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from libs.config import Settings

State = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `said` is a sentence about `subject`; `advice` is what to do next."""

    check: str
    subject: str
    state: State
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """The platform that is looked at: how it is configured, and the folder of a machine that runs all of it."""

    settings: Settings
    folder: Path


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name; `subject` is what it says nothing about when it does not end in time."""

    name: str
    subject: str
    look: Callable[[Patient], Iterable[Finding]]
