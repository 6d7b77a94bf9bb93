"""Ports that programs draw side by side are different ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bazarutod import ports

_DRAW_MANY = """
from bazarutod import ports
ports._RANGE = range(10_000, 10_600)
print(*(ports.free_port() for _ in range(100)))
"""


def test_programs_side_by_side_draw_different_ports(tmp_path: Path) -> None:
    programs = []
    for number in range(4):
        folder = tmp_path / f"run-{number % 2}"  # two of each run
        folder.mkdir(exist_ok=True)
        environment = {**os.environ, ports.DRAWN: str(folder)}
        command = [sys.executable, "-c", _DRAW_MANY]
        programs.append(
            subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE)
        )
    drawn = [port for program in programs for port in program.communicate(timeout=60)[0].split()]
    assert len(drawn) == 400
    assert len(set(drawn)) == 400
