"""What makes two databases the same, and where a dump's programs come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bazarutod.backup import BackupError, drill, programs
from bazarutod.backup.books import Sums
from bazarutod.backup.command import run_drill
from bazarutod.backup.drill import Report, Step
from bazarutod.backup.fingerprint import Fingerprint, Table, differences

_BOOKS = Fingerprint(
    tables={"public.journals": Table(rows=2, checksum="1:2"), "public.postings": Table(rows=4, checksum="3:4")},
    sequences={"public.numbers": 7},
    trial_balance={"EUR": Sums(debits=100, credits=100)},
)


def _books(**changed: object) -> Fingerprint:
    return _BOOKS.model_copy(update=changed)


def test_the_same_content_has_no_difference() -> None:
    assert differences(_BOOKS, _books()) == []


def test_a_lost_row_is_told_with_its_table() -> None:
    restored = _books(tables={**_BOOKS.tables, "public.postings": Table(rows=3, checksum="3:4")})
    assert differences(_BOOKS, restored) == ["table public.postings has 3 rows instead of 4"]


def test_another_content_with_as_many_rows_is_told() -> None:
    restored = _books(tables={**_BOOKS.tables, "public.postings": Table(rows=4, checksum="3:5")})
    assert differences(_BOOKS, restored) == ["table public.postings has the right number of rows and another content"]


def test_a_missing_and_a_foreign_table_are_told() -> None:
    restored = _books(
        tables={"public.journals": _BOOKS.tables["public.journals"], "public.x": Table(rows=0, checksum="")}
    )
    assert differences(_BOOKS, restored) == ["table public.postings is missing", "table public.x should not be there"]


@pytest.mark.parametrize(("reached", "difference_count"), [(6, 1), (7, 0), (8, 0)])
def test_a_sequence_may_be_ahead_and_not_behind(reached: int, difference_count: int) -> None:
    assert len(differences(_BOOKS, _books(sequences={"public.numbers": reached}))) == difference_count


def test_a_missing_sequence_is_told() -> None:
    assert len(differences(_BOOKS, _books(sequences={}))) == 1


def test_another_trial_balance_is_told() -> None:
    restored = _books(trial_balance={"EUR": Sums(debits=90, credits=90)})
    assert differences(_BOOKS, restored) == ["the trial balance is another one"]


def test_books_out_of_order_name_the_currency() -> None:
    books = _books(trial_balance={"EUR": Sums(debits=90, credits=100)})
    assert books.unbalanced() == ["the trial balance of EUR is off by -10"]


def test_a_password_does_not_become_an_argument() -> None:
    variables = programs._variables("postgresql://somebody:secret@db.example:6432/bazaruto_users?sslmode=require")
    assert variables == {
        "PGHOST": "db.example",
        "PGPORT": "6432",
        "PGUSER": "somebody",
        "PGPASSWORD": "secret",
        "PGDATABASE": "bazaruto_users",
        "PGSSLMODE": "require",
    }


def test_a_wrong_folder_of_programs_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(BackupError, match="there is no pg_dump in PG_BIN="):
        programs.program("pg_dump")


def test_a_drill_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(rows=6, steps=[Step("lose it", 9, "", recovers=False), Step("get it back", 2, "", recovers=True)])
    monkeypatch.setattr(drill, "run", lambda rows, tell: report)
    with pytest.raises(SystemExit) as ended:
        run_drill(6, 1.5, as_json=True)
    assert ended.value.code == 1
    assert "the recovery took 2.0 s, more than 1.5 s" in capsys.readouterr().out
