"""Waiting for a signal without missing one."""

from __future__ import annotations

import threading

_LOOK_EVERY = 1.0  # seconds


class SignalledEvent(threading.Event):
    """An event that a handler of a signal sets.

    A signal that comes just before the main thread begins to wait does not end the wait, and its handler would run
    only after it: with the next signal, or never. So the wait is made of short ones.
    """

    def wait(self, timeout: float | None = None) -> bool:
        """Return when the event is set, or after `timeout` seconds."""
        if timeout is not None:
            return super().wait(timeout)
        while not super().wait(_LOOK_EVERY):
            pass
        return True
