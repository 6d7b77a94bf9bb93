"""What cannot be prepared is told, not announced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bazarutod.provisioning import Provision, RedisNotStarted, _start_redis


def test_redis_that_does_not_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    server = shutil.which("ls") or "ls"  # refuses the options, says so, and ends
    provision = Provision()
    with pytest.raises(RedisNotStarted, match=r"(?s)does not answer.*redis\.log ends with:.*--port"):
        _start_redis(tmp_path, server, provision)
    assert "BAZARUTO_REDIS__URL" not in provision.environment
    provision.stop()
