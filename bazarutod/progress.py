"""What a command tells people while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Tell what is being done: on one changing line of a terminal, or line by line anywhere else."""
    if not console.is_terminal:
        yield console.print
        return
    with console.status("") as status:
        yield status.update
