"""The letter to new customers, wherever it is written."""

from __future__ import annotations

import subprocess
import sys

_WRITE = """
from datetime import UTC, datetime
from uuid import UUID
from services.users.accounts.rules import user
from services.users.accounts.adapters.letters import welcome
ana = user.register("ana@example.com", "Ana", "", "pt-MZ", datetime.now(UTC), user_id=UUID(int=0))
print(ascii(welcome(ana).text))
"""


def test_letter_does_not_depend_on_the_encoding_of_the_machine() -> None:
    command = [
        sys.executable,
        "-X",
        "warn_default_encoding",
        "-W",
        "error::EncodingWarning:services.users.accounts.adapters.letters",
        "-c",
        _WRITE,
    ]
    written = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "a sua conta na Bazaruto est\\xe1 pronta" in written.stdout, written.stderr
    assert "fechamos" not in written.stdout
