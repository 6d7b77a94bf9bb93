"""Spans of processes that have ended are kept for a while, and not for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from libs.telemetry.traces import FileSpanExporter


def test_only_the_newest_files_of_processes_that_have_ended_are_kept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    for age in range(6):
        _spans(tmp_path / f"users-{ended.pid}{'.old' * age}.jsonl", age)
    living, worker = tmp_path / f"users-{os.getppid()}.jsonl", tmp_path / f"users-worker-{ended.pid}.jsonl"
    _spans(living, 99)
    _spans(worker, 99)

    FileSpanExporter(tmp_path, "users")

    kept = {tmp_path / f"users-{ended.pid}{'.old' * age}.jsonl" for age in range(4)}
    assert set(tmp_path.iterdir()) == {*kept, living, worker}


def _spans(path: Path, hours_ago: int) -> None:
    path.touch()
    moment = path.stat().st_mtime - hours_ago * 3600
    os.utime(path, (moment, moment))
