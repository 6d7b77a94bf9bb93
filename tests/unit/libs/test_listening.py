"""Sockets are opened once, passed on, and left to others."""

from __future__ import annotations

import os
import socket

import pytest

from libs import listening


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"


def test_address_is_taken_even_by_one_who_would_share_it() -> None:
    with socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(("127.0.0.1", 0))
        sharing.listen()
        address = _address(sharing)
        assert listening.is_taken(address)
    assert not listening.is_taken(address)


def test_second_socket_at_an_address_is_refused() -> None:
    with listening.open_socket("127.0.0.1:0") as first, pytest.raises(OSError, match="in use"):
        listening.open_socket(_address(first))


def test_looking_for_a_socket_leaves_no_descriptor_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    listening.leave_callers_to_others(f"127.0.0.1:{9}")
    assert len(os.listdir("/proc/self/fd")) == before


def test_passed_socket_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening.open_socket("127.0.0.1:0") as opened:
        monkeypatch.setenv(listening.PASSED, str(os.dup(opened.fileno())))
        passed = listening.passed_socket()
        assert passed is not None
        with passed:
            assert passed.getsockname() == opened.getsockname()
        assert listening.passed_socket() is None


def test_socket_of_systemd_for_another_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert listening.passed_socket() is None


def test_who_leaves_accepts_nobody_and_goes_on_with_those_who_have_come() -> None:
    with listening.open_socket("127.0.0.1:0") as leaving, socket.create_connection(leaving.getsockname()) as caller:
        served, _ = leaving.accept()
        address = leaving.getsockname()
        listening.leave_callers_to_others(_address(leaving))
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address):
            pass  # no process of the address is left
        with pytest.raises(BlockingIOError):
            leaving.accept()
        with served:
            served.sendall(b"an answer")
            assert caller.recv(100) == b"an answer"


def test_other_sockets_of_the_process_go_on_accepting() -> None:
    with listening.open_socket("127.0.0.1:0") as leaving, listening.open_socket("127.0.0.1:0") as other:
        listening.leave_callers_to_others(_address(leaving))
        with socket.create_connection(other.getsockname()):
            accepted, _ = other.accept()
            accepted.close()
