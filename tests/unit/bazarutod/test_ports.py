"""Ports that are drawn side by side are different ones."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bazarutod import ports


@pytest.fixture(autouse=True)
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of drawn ports that is not the one of the run."""
    folder = tmp_path / "one"
    folder.mkdir()
    monkeypatch.setenv(ports.DRAWN, str(folder))
    return folder


def test_drawn_port_is_not_drawn_again_although_nobody_listens(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.setattr(ports, "_RANGE", range(10_000, 10_030))
    free_ports = [ports.free_port() for _ in range(15)]
    assert len(set(free_ports)) == 15
    assert {int(mark.name) for mark in drawn.iterdir()} == set(free_ports)


def test_port_that_another_run_has_drawn_is_not_drawn(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.setattr(ports, "_RANGE", range(10_000, 10_030))
    first = {ports.free_port() for _ in range(15)}
    other = drawn.with_name("other")
    other.mkdir()
    monkeypatch.setenv(ports.DRAWN, str(other))
    assert first.isdisjoint(ports.free_port() for _ in range(10))


def test_port_that_somebody_has_is_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_RANGE", range(port, port + 1))
        monkeypatch.setattr(ports, "_TRIES", 10)
        with pytest.raises(ports.NoFreePort, match=str(port)):
            ports.free_port()


def test_without_a_folder_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.delenv(ports.DRAWN)
    assert ports.free_port() in range(10_000, 32_000)
    assert list(drawn.iterdir()) == []
