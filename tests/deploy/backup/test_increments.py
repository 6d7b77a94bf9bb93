"""Incremental base backups: what changed since the last copy, and a recovery that puts all of them together."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bazarutod import embedded
from bazarutod.backup import fingerprint
from tests.deploy.backup.recovering import NOTES, note, start_archiving, started, texts
from tests.deploy.backup.scripts import Scripts, sealing
from tests.support import books
from tests.support.books import content, mode

pytestmark = pytest.mark.xdist_group("recovery")

_DAY = 86_400
_PARTS = ("base.tar.gz", "pg_wal.tar.gz", "backup_manifest")


@dataclass(frozen=True)
class Chain:
    """A full copy and two increments of a server that is gone, with the log up to a moment and beyond."""

    scripts: Scripts
    archive: Path
    moment: str
    expected: fingerprint.Fingerprint  # what the server held at the moment

    @property
    def links(self) -> tuple[Path, Path, Path]:
        """The full copy, the increment on it, and the increment on that."""
        (full,) = self.scripts.files("base_*")
        first, second = self.scripts.files("incremental_*")
        return full, first, second

    def copied(self, folder: Path) -> list[Path]:
        """The copies where they may be ruined."""
        return [Path(shutil.copytree(link, folder / link.name)) for link in self.links]

    def restore(self, copy: Path, data_folder: Path) -> str:
        """Make the data folder; what the script said if it refused."""
        done = self.scripts.run("pitr-restore.sh", copy, self.archive, self.moment, data_folder, PG_OWNER="root")
        return done.stderr if done.returncode else ""


def back_up(scripts: Scripts, script: str = "incremental-backup.sh", **variables: str) -> None:
    """Run a script that must succeed, in a second of its own, which its name is made of."""
    time.sleep(1)
    done = scripts.run(script, **variables)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """Write and copy in turns, note the moment, write on, drop the table, lose the server."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-recovery-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = start_archiving(folder, "summarize_wal=on")
        url = server.url("postgres")
        scripts = Scripts(folder, url)
        scripts.metrics.mkdir()
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(NOTES)
                note(connection, "before the full copy")
                back_up(scripts, "base-backup.sh")
                note(connection, "before the first increment")
                connection.execute("UPDATE notes SET text = 'changed' WHERE id % 5 = 0")
                back_up(scripts)
                note(connection, "before the second increment")
                connection.execute("DELETE FROM notes WHERE id % 7 = 0")
                back_up(scripts)
                note(connection, "before the moment")
                moment = str(fingerprint.single(connection, "SELECT clock_timestamp()")[0])
                expected = content(url)
                note(connection, "after the moment")
                connection.execute("DROP TABLE notes")
                connection.execute("SELECT pg_switch_wal()")
        finally:
            server.stop()  # archives what is left
        shutil.rmtree(folder / "pg")
        yield Chain(scripts, folder / "archive", moment, expected)


def test_full_copy_two_increments_and_the_log_give_back_the_rows_of_the_moment(chain: Chain, open_folder: Path) -> None:
    _, _, second = chain.links
    assert chain.restore(second, open_folder / "pg") == ""
    with started(open_folder / "pg") as url, psycopg.connect(url, autocommit=True) as connection:
        assert content(url).tables == chain.expected.tables
        written = {"before the full copy", "before the first increment", "before the second increment"}
        assert texts(connection) == {*written, "changed", "before the moment"}
        connection.execute("INSERT INTO notes (text) VALUES ('life goes on')")


@pytest.mark.parametrize("number", [0, 1])
def test_moment_is_reached_from_every_copy_of_a_chain(chain: Chain, open_folder: Path, number: int) -> None:
    assert chain.restore(chain.links[number], open_folder / "pg") == ""
    with started(open_folder / "pg") as url:
        assert content(url).tables == chain.expected.tables


def test_increment_holds_what_changed_and_says_what_it_builds_on(chain: Chain) -> None:
    full, first, second = chain.links
    assert [(link / "PARENT").read_text().strip() for link in (first, second)] == [full.name, first.name]
    sizes = [(link / "base.tar.gz").stat().st_size for link in chain.links]
    assert max(sizes[1:]) < sizes[0] / 4
    assert [mode(link) for link in chain.links] == [0o700] * 3
    for link in chain.links:
        subprocess.run(["sha256sum", "--check", "--status", "--strict", "SHA256SUMS"], cwd=link, check=True)
    assert 'kind="incremental"' in (chain.scripts.metrics / "bazaruto_backup_incremental.prom").read_text()
    assert chain.scripts.leftovers() == sorted([".manifests", *(link.name for link in chain.links)])


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", _PARTS)
def test_damaged_link_is_refused_before_anything_is_made(
    chain: Chain, open_folder: Path, number: int, name: str
) -> None:
    links = chain.copied(open_folder)
    books.flip_a_bit(links[number] / name)
    assert f"{links[number].name} is damaged; nothing was changed" in chain.restore(links[2], open_folder / "pg")
    assert sorted(open_folder.iterdir()) == sorted(links)


def _flip_an_early_bit(path: Path) -> None:
    """Most of a log file is zeros, and of many zeros packed together a flipped bit makes the same zeros."""
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 0x10
    path.write_bytes(damaged)


@pytest.mark.parametrize("ruin", [books.cut_off, _flip_an_early_bit])
@pytest.mark.parametrize("name", _PARTS)
def test_increment_damaged_before_it_was_summed_is_refused_too(
    chain: Chain, open_folder: Path, name: str, ruin: Callable[[Path], None]
) -> None:
    links = chain.copied(open_folder)
    ruin(links[1] / name)
    _sum_again(links[1])
    assert "nothing was changed" in chain.restore(links[2], open_folder / "pg")
    assert sorted(open_folder.iterdir()) == sorted(links)


def test_increment_without_what_it_builds_on_is_refused(chain: Chain, open_folder: Path) -> None:
    full, first, second = chain.copied(open_folder)
    shutil.rmtree(first)
    assert f"{second.name} builds on {first.name}, which is not beside it" in chain.restore(second, open_folder / "pg")
    assert sorted(open_folder.iterdir()) == [full, second]


def test_chain_from_which_a_link_was_taken_is_refused(chain: Chain, open_folder: Path) -> None:
    full, first, second = chain.copied(open_folder)
    (second / "PARENT").write_text(f"{full.name}\n")
    _sum_again(second)
    assert "do not fit together; nothing was changed" in chain.restore(second, open_folder / "pg")
    assert sorted(open_folder.iterdir()) == [full, first, second]


@contextmanager
def _running(folder: Path, *options: str) -> Iterator[Scripts]:
    server = embedded.start(folder / "source", throwaway=True, options=("archive_mode=off", *options))
    scripts = Scripts(folder, server.url("postgres"))
    scripts.metrics.mkdir(exist_ok=True)
    try:
        yield scripts
    finally:
        server.stop()


def test_increment_is_made_where_copies_can_be_sealed_and_not_opened(open_folder: Path) -> None:
    key = sealing(open_folder, "age")
    with _running(open_folder, "summarize_wal=on") as scripts:
        public = {"AGE_RECIPIENTS_FILE": key["AGE_RECIPIENTS_FILE"]}
        back_up(scripts, **public)
        assert [path.name[:5] for path in scripts.files()] == ["base_"], "without one to build on, all is copied"
        back_up(scripts, **public)
        (increment,) = scripts.files("incremental_*")
    in_the_clear = ("SHA256SUMS", "START_WAL", "PARENT")
    assert {path.suffix for path in increment.iterdir() if path.name not in in_the_clear} == {".age"}
    (open_folder / "archive").mkdir()
    arguments = (increment, open_folder / "archive", "", open_folder / "pg")
    refused = scripts.run("pitr-restore.sh", *arguments, PG_OWNER="root")
    assert "AGE_IDENTITY_FILE is needed to open" in refused.stderr
    restored = scripts.run("pitr-restore.sh", *arguments, PG_OWNER="root", **key)
    assert restored.returncode == 0, restored.stderr
    with started(open_folder / "pg") as url:
        assert content(url).rows == 0


def test_increment_never_builds_on_a_copy_of_another_server(open_folder: Path) -> None:
    with _running(open_folder, "summarize_wal=on") as scripts:
        back_up(scripts)
    shutil.rmtree(open_folder / "source")
    with _running(open_folder, "summarize_wal=on") as scripts:
        back_up(scripts)
        assert len(scripts.files("base_*")) == 2
        back_up(scripts)
    (increment,) = scripts.files("incremental_*")
    assert (increment / "PARENT").read_text().strip() == scripts.files("base_*")[-1].name


def test_server_that_does_not_summarize_its_log_is_named(open_folder: Path) -> None:
    with _running(open_folder, "summarize_wal=off") as scripts:
        back_up(scripts)
        before = scripts.leftovers()
        done = scripts.run("incremental-backup.sh")
    assert done.returncode != 0
    assert "WAL summarization is enabled" in done.stderr
    assert "a full base backup begins a new chain" in done.stderr
    assert scripts.leftovers() == before


def test_chain_is_kept_as_long_as_its_youngest_link(open_folder: Path) -> None:
    with _running(open_folder, "summarize_wal=on") as scripts:
        back_up(scripts)
        back_up(scripts)
        back_up(scripts, "base-backup.sh")
        old, new = scripts.files("base_*")
        (increment,) = scripts.files("incremental_*")
        archive = open_folder / "archive"
        archive.mkdir()
        first_wal = {copy: (copy / "START_WAL").read_text().strip() for copy in (old, new)}
        for name in first_wal.values():
            (archive / name).touch()
        _age(old, 40)
        _age(increment, 20)
        back_up(scripts, WAL_ARCHIVE=str(archive))
        assert [path.exists() for path in (old, increment, new)] == [True, True, True]
        assert (archive / first_wal[old]).exists(), "the log since the old copy is needed"
        _age(increment, 40)
        back_up(scripts, WAL_ARCHIVE=str(archive))
    assert [path.exists() for path in (old, increment, new)] == [False, False, True]
    assert [(archive / name).exists() for name in first_wal.values()] == [False, True]
    kept = {path.name for path in scripts.files()}
    assert {path.name for path in (scripts.backups / ".manifests").iterdir()} == kept


def _age(copy: Path, days: int) -> None:
    changed = time.time() - days * _DAY
    os.utime(copy, (changed, changed))


def _sum_again(copy: Path) -> None:
    names = sorted(path.name for path in copy.iterdir() if path.name != "SHA256SUMS")
    summed = subprocess.run(["sha256sum", *names], cwd=copy, check=True, capture_output=True, text=True).stdout
    (copy / "SHA256SUMS").write_text(summed)
