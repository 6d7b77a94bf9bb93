"""A started process tells whoever started it that it is ready."""

from __future__ import annotations

import socket

import pytest

from libs import readiness


def test_process_that_has_not_told_is_not_ready() -> None:
    awaited = readiness.Awaited()
    assert not awaited.is_ready
    awaited.close()


def test_process_that_told_twice_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = readiness.Awaited()
    monkeypatch.setenv(readiness.SOCKET, awaited.environment[readiness.SOCKET])
    readiness.tell()
    readiness.tell()
    assert awaited.is_ready
    awaited.close()


@pytest.mark.parametrize(
    ("words", "ready"), [(b"STATUS=almost READY=1", False), (b"READY=0", False), (b"STATUS=serving\nREADY=1", True)]
)
def test_only_the_word_of_the_protocol_makes_it_ready(words: bytes, ready: bool) -> None:
    awaited = readiness.Awaited()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(words, awaited.environment[readiness.SOCKET])
    assert awaited.is_ready is ready
    awaited.close()


def test_abstract_socket_of_systemd_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("")  # the system gives it a name in the abstract space
        monkeypatch.setenv(readiness.SOCKET, "@" + systemd.getsockname()[1:].decode())
        readiness.tell()
        assert systemd.recv(100) == b"READY=1"


def test_process_whose_starter_is_gone_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = readiness.Awaited()
    monkeypatch.setenv(readiness.SOCKET, awaited.environment[readiness.SOCKET])
    awaited.close()
    readiness.tell()


def test_process_that_nobody_asked_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(readiness.SOCKET, raising=False)
    readiness.tell()


@pytest.mark.timeout(10)
def test_ready_can_be_said_again_and_again_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    awaited = readiness.Awaited()
    monkeypatch.setenv(readiness.SOCKET, awaited.environment[readiness.SOCKET])
    for _ in range(2000):
        readiness.tell()
    assert awaited.is_ready
    awaited.close()
