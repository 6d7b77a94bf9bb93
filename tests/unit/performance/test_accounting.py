"""CPU time and memory, read from what the kernel shows of processes."""

from __future__ import annotations

import os

import pytest

from tests.performance import accounting
from tests.performance.accounting import Process

# Fields of /proc/PID/stat up to the CPU times: 4 user, 3 kernel, and of ended children 20 user, 10 kernel.
STAT = "417 ({name}) S 12 417 417 0 -1 4194560 9000 0 1 0 4 3 20 10 20 0 5 0 7500 900000 6000 18446744073709551615"
ROLLUP = """\
55d0c0000000-7ffd5c5f2000 ---p 00000000 00:00 0                          [rollup]
Rss:               90112 kB
Pss:               61440 kB
Pss_Dirty:         50000 kB
Shared_Clean:      30000 kB
"""


def test_cpu_time_is_that_of_a_process_and_of_the_children_it_has_waited_for() -> None:
    assert accounting.parse_stat(STAT.format(name="python")) == Process(parent=12, ticks=37)


@pytest.mark.parametrize("name", ["two words", "a) S 9 (b", "((", "postgres: writer"])
def test_name_of_a_process_may_hold_anything(name: str) -> None:
    assert accounting.parse_stat(STAT.format(name=name)) == Process(parent=12, ticks=37)


def test_memory_is_the_share_and_not_what_is_resident_or_dirty() -> None:
    assert accounting.parse_pss(ROLLUP) == 61440


def test_memory_that_the_kernel_does_not_show_is_an_error() -> None:
    with pytest.raises(ValueError, match="no Pss"):
        accounting.parse_pss("Rss: 90112 kB\n")


def test_process_belongs_to_the_nearest_ancestor_with_a_name() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 11, 20: 10, 21: 20, 30: 1}
    everything = {pid: Process(parent, ticks=1) for pid, parent in parents.items()}
    owners = dict(accounting.owners(everything, {"supervisor": 10, "gateway": 20}))
    assert owners == {10: "supervisor", 11: "supervisor", 12: "supervisor", 20: "gateway", 21: "gateway"}


def test_process_whose_parent_is_gone_belongs_to_nobody() -> None:
    assert dict(accounting.owners({7: Process(parent=6, ticks=1)}, {"gone": 6})) == {}


def test_own_work_shows_in_the_books() -> None:
    before = accounting.cpu_seconds({"self": os.getpid()})["self"]
    spent_until = sum(os.times()[:2]) + 0.05
    while sum(os.times()[:2]) < spent_until:
        pass
    assert 0.02 < accounting.cpu_seconds({"self": os.getpid()})["self"] - before < 1
    assert accounting.pss_mebibytes({"self": os.getpid()})["self"] > 1


def test_command_and_environment_of_a_process_that_is_gone_are_empty() -> None:
    nobody = 2**22 + 1  # above the highest id that Linux gives
    assert accounting.command_line(nobody) == []
    assert accounting.environment(nobody) == {}
