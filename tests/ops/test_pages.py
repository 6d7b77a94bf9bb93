"""The pages of every process, read by the programs that they are made for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from bazarutod.stack import PROCESSES
from tests.integration.observability.planted import allocator, hot_loop, own_pages
from tests.ops.programs import program, run
from tests.support.platform import Platform

by_process = pytest.mark.parametrize("name", [process.name for process in PROCESSES])


def top_of(profile: bytes, folder: Path) -> list[str]:
    """The functions that `go tool pprof -top` prints, in its order."""
    (folder / "profile.pb.gz").write_bytes(profile)
    lines = run("go", "tool", "pprof", "-top", folder / "profile.pb.gz").splitlines()
    heading = next(number for number, line in enumerate(lines) if "flat%" in line)
    return [line.split(None, 5)[5] for line in lines[heading + 1 :] if "%" in line]  # the others are remarks


@by_process
def test_metrics_of_a_process_are_as_prometheus_wants_them(platform: Platform, name: str) -> None:
    page = httpx.get(f"{platform.address_of(name)}/metrics", timeout=30).text
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page, capture_output=True, text=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@by_process
def test_profiles_of_a_process_are_read_by_pprof(platform: Platform, name: str, tmp_path: Path) -> None:
    for page in ("profile?seconds=0.3", "heap?seconds=0.3", "goroutine"):
        answer = httpx.get(f"{platform.address_of(name)}/debug/pprof/{page}", timeout=30)
        assert answer.status_code == 200
        top_of(answer.content, tmp_path)


def test_pprof_shows_a_planted_hot_loop_first(tmp_path: Path) -> None:
    with own_pages() as url, hot_loop():
        profile = httpx.get(f"{url}/debug/pprof/profile?seconds=1", timeout=30).content
    assert "planted_hot_loop" in top_of(profile, tmp_path)[0]


def test_pprof_shows_a_planted_allocator_first(tmp_path: Path) -> None:
    with own_pages() as url, allocator():
        profile = httpx.get(f"{url}/debug/pprof/heap?seconds=1", timeout=30).content
    assert "planted_allocator" in top_of(profile, tmp_path)[0]
