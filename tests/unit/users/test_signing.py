"""Keys that sign are read at start, and one that cannot be read is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.users.accounts.adapters.signing import SigningKeys


@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"])
def test_key_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "20260101000000.pem").write_text(content)
    with pytest.raises(ValueError, match=r"auth\.key_folder: .*20260101000000\.pem"):
        SigningKeys.load(tmp_path)
