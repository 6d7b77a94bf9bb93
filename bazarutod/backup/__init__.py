"""Backups that prove themselves: what a backup holds is counted and summed, and a restore is held against it.

This package is `bazarutod backup`, `restore` and `drill`; the scripts of `deploy/backup` call it under the names of the
operations guide.
"""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]


class BackupError(RuntimeError):
    """A backup could not be made, is damaged, or cannot be restored where it should; the message says which."""
