"""Contenders take turns, and what an earlier commit was measured at is kept."""

from __future__ import annotations

from pathlib import Path

from tests.performance import history
from tests.performance.figures import Figure, Row
from tests.performance.history import History
from tests.performance.rounds import Effort, take_turns
from tests.performance.rows import ROWS, SEPARATE

MACHINE = ["CPU of a kind, 2 cores"]


def test_every_other_round_goes_backwards() -> None:
    turns: list[str] = []
    contenders = {name: lambda _, name=name: turns.append(name) for name in ("a", "b", "c")}
    measured = take_turns(Effort(rounds=3), contenders)
    assert "".join(turns) == "abc" + "abc" + "cba" + "abc"  # the first to warm up
    assert {name: len(values) for name, values in measured.items()} == {"a": 3, "b": 3, "c": 3}


def test_figures_of_the_other_commit_are_kept_and_others_are_not(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    against = [
        Figure("CPU", "µs", [1.0, 2.0], [3.00049, 4.0], "512f0fa"),
        Figure("CPU", "µs", [1.0], [2.0], "FastAPI"),
        Figure("p99", "ms", [1.0], [9.0], "512f0fa", remembered=True),
    ]
    history.keep([Row("reading", "", against)], "512f0fa", MACHINE, file)
    kept = History.load(file)
    assert (kept.revision, kept.machine, kept.figures) == ("512f0fa", MACHINE, {"reading: CPU": [3.0, 4.0]})
    assert kept.find("reading", "CPU") == [3.0, 4.0]
    assert kept.find("reading", "p99") == []


def test_figures_that_were_not_measured_again_stay(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    for row in ("reading", "writes"):
        history.keep([Row(row, "", [Figure("CPU", "µs", [1.0], [2.0], "512f0fa")])], "512f0fa", MACHINE, file)
    assert set(History.load(file).figures) == {"reading: CPU", "writes: CPU"}


def test_committed_history_names_rows_that_there_are() -> None:
    kept = History.load()
    assert kept.revision
    assert kept.machine
    assert {name.partition(": ")[0] for name in kept.figures} <= set(ROWS)


def test_every_row_has_its_module() -> None:
    folder = Path(history.__file__).with_name("rows")
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == {name.replace("-", "_") for name in ROWS}
    assert set(SEPARATE) < set(ROWS)
