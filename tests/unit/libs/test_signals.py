"""No signal is missed while its event is waited for."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator

import pytest

from libs import signals
from libs.signals import SignalledEvent


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[SignalledEvent]:
    """An event that SIGUSR1 sets."""
    monkeypatch.setattr(signals, "_LOOK_EVERY", 0.02)
    event = SignalledEvent()
    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGUSR1, before)


def test_signal_that_does_not_interrupt_the_wait_is_heeded(signalled: SignalledEvent) -> None:
    # Python has noted the signal, as when it comes just before the wait, and the wait is not interrupted by it.
    threading.Timer(0.05, _thread.interrupt_main, (signal.SIGUSR1,)).start()
    assert signalled.wait()


def test_wait_with_an_end_ends(signalled: SignalledEvent) -> None:
    assert not signalled.wait(0.01)
    signalled.set()
    assert signalled.wait(0)
