"""Reading a shipped configuration as the process would."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libs.config import Settings, load


def settings_of(path: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """The settings that a file and some variables make, whatever this machine's environment says."""
    for name in os.environ:
        if name.startswith("BAZARUTO_"):
            monkeypatch.delenv(name)
    for name, value in {"BAZARUTO_CONFIG": str(path), **variables}.items():
        monkeypatch.setenv(name, value)
    return load()
