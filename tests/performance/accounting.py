"""What processes have cost: CPU time and memory by the kernel's own books, as Linux shows them below /proc.

A process belongs to the nearest of its ancestors that has a name. The time of children that have ended is in the books
of the parent that waited for them, so that nothing is lost when a worker or a backend ends between two looks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process at one moment; `ticks` is its CPU time in user and kernel mode, with that of its ended children."""

    parent: int
    ticks: int


def parse_stat(stat: str) -> Process:
    """The line of /proc/PID/stat. The name in it is in parentheses and may hold spaces and parentheses itself."""
    fields = stat.rpartition(")")[2].split()
    return Process(parent=int(fields[1]), ticks=sum(int(field) for field in fields[11:15]))


def parse_pss(rollup: str) -> int:
    """KiB of /proc/PID/smaps_rollup that a process has to itself, with its share of what it shares with others."""
    match = re.search(r"^Pss:\s+(\d+) kB$", rollup, re.MULTILINE)
    if match is None:
        raise ValueError("there is no Pss in it")
    return int(match[1])


def processes() -> dict[int, Process]:
    """Every process of the machine now, by its id."""
    return {int(path.name): parse_stat(stat) for path in _PROC.glob("[0-9]*") if (stat := _read(path / "stat"))}


def owners(everything: Mapping[int, Process], named: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Every process that belongs to one of the `named` ones, and that one's name."""
    names = {pid: name for name, pid in named.items()}
    for pid in everything:
        ancestor = pid
        while ancestor in everything and ancestor not in names:
            ancestor = everything[ancestor].parent
        if ancestor in everything:
            yield pid, names[ancestor]


def cpu_seconds(named: Mapping[str, int]) -> dict[str, float]:
    """CPU time so far of each named process with everything that belongs to it."""
    everything = processes()
    ticks = dict.fromkeys(named, 0)
    for pid, name in owners(everything, named):
        ticks[name] += everything[pid].ticks
    return {name: count / _TICKS_PER_SECOND for name, count in ticks.items()}


def pss_mebibytes(named: Mapping[str, int]) -> dict[str, float]:
    """Memory of each named process with everything that belongs to it; what is shared is counted once, in shares."""
    kibibytes = dict.fromkeys(named, 0)
    for pid, name in owners(processes(), named):
        if rollup := _read(_PROC / str(pid) / "smaps_rollup"):
            kibibytes[name] += parse_pss(rollup)
    return {name: count / 1024 for name, count in kibibytes.items()}


def command_line(pid: int) -> list[str]:
    """The program and its arguments; empty for a process that is gone."""
    return _read(_PROC / str(pid) / "cmdline").split("\0")[:-1]


def environment(pid: int) -> dict[str, str]:
    """The variables that a process was started with."""
    pairs = _read(_PROC / str(pid) / "environ").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def keep_on(cores: set[int], pid: int) -> None:
    """Keep a process and its threads on these cores; what they start later stays there, too."""
    for thread in _PROC.glob(f"{pid}/task/*"):
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:  # it has ended since
            continue


def _read(path: Path) -> str:
    """The text of a file of a process; empty when the process has ended meanwhile."""
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
