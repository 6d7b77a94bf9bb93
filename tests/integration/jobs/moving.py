"""`bazarutod clock advance` in a process of its own, where no service does anything daily: `python -m …moving 30d`."""

from __future__ import annotations

import sys
from unittest.mock import patch

from bazarutod import advance
from bazarutod.command import app
from bazarutod.stack import SERVICES

if __name__ == "__main__":
    with patch.object(advance, "daily_kinds", lambda: {service: [] for service in SERVICES}):
        app(["clock", "advance", *sys.argv[1:]])
