"""Point-in-time recovery with the shipped scripts: base backup, archive of the log, a data folder for a moment."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bazarutod import embedded
from bazarutod.backup import fingerprint, programs
from tests.deploy.backup.recovering import DOES_NOT_OPEN, NOTES, note, start_archiving, started, texts
from tests.deploy.backup.scripts import Scripts, sealing
from tests.support import books
from tests.support.books import content, mode

pytestmark = pytest.mark.xdist_group("recovery")


@dataclass(frozen=True)
class Lost:
    """A server that is gone, and what was kept of it."""

    folder: Path
    scripts: Scripts
    base: Path
    archive: Path
    moment: str
    expected: fingerprint.Fingerprint  # what it held at the moment

    def restore(
        self, data_folder: Path, *, archive: Path | None = None, base: Path | None = None, moment: str = ""
    ) -> str:
        """Make the data folder; what the script said if it refused."""
        arguments = (base or self.base, archive or self.archive, moment or self.moment, data_folder)
        # As root, the script gives the folder to root, and the test gives it to the embedded server's own user.
        done = self.scripts.run("pitr-restore.sh", *arguments, PG_OWNER="root")
        return done.stderr if done.returncode else ""

    def copy_of_archive(self, folder: Path) -> Path:
        """An archive that may be ruined."""
        shutil.copytree(self.archive, folder / "archive")
        embedded.give_to_server(folder / "archive")
        return folder / "archive"


@pytest.fixture(scope="module")
def lost() -> Iterator[Lost]:
    """Write, back up, write, note the moment, write, drop the table, lose the server."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-recovery-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        server = start_archiving(folder)
        archive = folder / "archive"
        url = server.url("postgres")
        scripts = Scripts(folder, url)
        (folder / "metrics").mkdir()
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(NOTES)
                note(connection, "before the base backup")
                made = scripts.run("base-backup.sh")
                assert made.returncode == 0, made.stderr
                for number in range(3):  # several files of the log, so that one in the middle can be missing
                    note(connection, f"before the moment {number}")
                    connection.execute("SELECT pg_switch_wal()")
                moment = str(fingerprint.single(connection, "SELECT clock_timestamp()")[0])
                expected = content(url)
                note(connection, "after the moment")
                connection.execute("DROP TABLE notes")
                connection.execute("SELECT pg_switch_wal()")
        finally:
            server.stop()  # archives what is left
        shutil.rmtree(folder / "pg")
        (base,) = scripts.files("base_*")
        yield Lost(folder, scripts, base, archive, moment, expected)


def test_what_was_written_before_the_moment_is_there_and_after_it_is_not(lost: Lost, open_folder: Path) -> None:
    assert lost.restore(open_folder / "pg") == ""
    with started(open_folder / "pg") as url, psycopg.connect(url, autocommit=True) as connection:
        assert texts(connection) == {"before the base backup", *(f"before the moment {n}" for n in range(3))}
        assert content(url).tables == lost.expected.tables
        connection.execute("INSERT INTO notes (text) VALUES ('life goes on')")


def test_without_a_moment_the_whole_log_is_replayed(lost: Lost, open_folder: Path) -> None:
    done = lost.scripts.run("pitr-restore.sh", lost.base, lost.archive, "", open_folder / "pg", PG_OWNER="root")
    assert done.returncode == 0, done.stderr
    with started(open_folder / "pg") as url:
        assert content(url).tables == {}  # the table was dropped at the end


def test_a_base_backup_passes_the_servers_own_verification(lost: Lost, open_folder: Path) -> None:
    assert {path.name for path in lost.base.iterdir()} >= {"base.tar.gz", "pg_wal.tar.gz", "backup_manifest"}
    assert mode(lost.base) == 0o700
    for name, target in (("base.tar.gz", "pg"), ("pg_wal.tar.gz", "pg/pg_wal")):
        with tarfile.open(lost.base / name) as packed:
            packed.extraction_filter = getattr(tarfile, "data_filter", None)
            packed.extractall(open_folder / target)
    verification = programs.run("pg_verifybackup", "--manifest-path", lost.base / "backup_manifest", open_folder / "pg")
    assert "successfully verified" in verification
    assert 'kind="base"' in (lost.scripts.metrics / "bazaruto_backup_base.prom").read_text()


def test_a_missing_file_of_the_log_is_found_before_anything_is_made(lost: Lost, open_folder: Path) -> None:
    archive = lost.copy_of_archive(open_folder)
    missing = _log_files(archive)[-2]
    missing.unlink()
    refusal = lost.restore(open_folder / "pg", archive=archive)
    assert f"the archive has a gap: {missing.name} is missing" in refusal
    assert not (open_folder / "pg").exists()


def test_a_cut_off_file_of_the_log_is_found_before_anything_is_made(lost: Lost, open_folder: Path) -> None:
    archive = lost.copy_of_archive(open_folder)
    books.cut_off(_log_files(archive)[-2])
    assert f"{_log_files(archive)[-2].name} is cut off" in lost.restore(open_folder / "pg", archive=archive)
    assert not (open_folder / "pg").exists()


def test_the_server_does_not_open_when_the_log_is_damaged_before_the_moment(lost: Lost, open_folder: Path) -> None:
    archive = lost.copy_of_archive(open_folder)
    _damage_log(_log_files(archive)[-3])
    assert lost.restore(open_folder / "pg", archive=archive) == ""
    with pytest.raises(DOES_NOT_OPEN), started(open_folder / "pg"):
        pass
    assert "recovery ended before configured recovery target was reached" in (
        (open_folder / "pg" / "server.log").read_text()
    )


def test_the_server_does_not_open_for_a_moment_that_the_archive_does_not_reach(lost: Lost, open_folder: Path) -> None:
    assert lost.restore(open_folder / "pg", moment="2999-01-01 00:00:00+00") == ""
    with pytest.raises(DOES_NOT_OPEN), started(open_folder / "pg"):
        pass
    assert "before configured recovery target was reached" in (open_folder / "pg" / "server.log").read_text()


@pytest.mark.parametrize("name", ["base.tar.gz", "pg_wal.tar.gz", "backup_manifest"])
def test_a_damaged_base_backup_is_refused_before_anything_is_made(lost: Lost, open_folder: Path, name: str) -> None:
    base = open_folder / "base"
    shutil.copytree(lost.base, base)
    books.flip_a_bit(base / name)
    assert "is damaged; nothing was changed" in lost.restore(open_folder / "pg", base=base)
    assert not (open_folder / "pg").exists()
    assert sorted(path.name for path in open_folder.iterdir()) == ["base"]


def test_a_data_folder_that_is_there_is_left_alone(lost: Lost, open_folder: Path) -> None:
    (open_folder / "pg").mkdir()
    (open_folder / "pg" / "PG_VERSION").write_text("18\n")
    assert "is not empty" in lost.restore(open_folder / "pg")
    assert os.listdir(open_folder / "pg") == ["PG_VERSION"]


@pytest.mark.parametrize("moment", ["2026-01-15 14:29:00", "soon+00", "'; DROP TABLE notes; --+00"])
def test_a_moment_that_could_be_misread_is_refused(lost: Lost, open_folder: Path, moment: str) -> None:
    assert lost.restore(open_folder / "pg", moment=moment)
    assert not (open_folder / "pg").exists()


def test_the_archive_never_replaces_a_file(lost: Lost, open_folder: Path) -> None:
    archived, other = open_folder / "0000000100000000000000AA", open_folder / "written"
    archived.write_bytes(b"the first content")
    other.write_bytes(b"another content")
    refused = lost.scripts.run("wal-archive.sh", other, archived.name, open_folder)
    assert refused.returncode != 0
    assert archived.read_bytes() == b"the first content"

    other.write_bytes(b"the first content")  # a server that crashed asks again for what is archived already
    assert lost.scripts.run("wal-archive.sh", other, archived.name, open_folder).returncode == 0
    assert sorted(path.name for path in open_folder.iterdir()) == [archived.name, "written"]


def test_a_log_file_that_cannot_be_archived_is_told_to_the_server(lost: Lost, open_folder: Path) -> None:
    done = lost.scripts.run("wal-archive.sh", open_folder / "none", "0000000100000000000000AB", open_folder)
    assert done.returncode != 0
    assert list(open_folder.iterdir()) == []


def test_a_sealed_base_backup_is_restored_with_the_key(open_folder: Path) -> None:
    server = embedded.start(open_folder / "source", throwaway=True, options=("archive_mode=off",))
    archive = open_folder / "archive"
    try:
        scripts = Scripts(open_folder, server.url("postgres"), sealing(open_folder, "gpg"))
        for folder in (archive, scripts.metrics):
            folder.mkdir()
        useless, needed = archive / "000000010000000000000000", archive / "0000000100000000000000FF"
        for file in (useless, needed):
            file.touch()
        made = scripts.run("base-backup.sh", WAL_ARCHIVE=str(archive))
        assert made.returncode == 0, made.stderr
    finally:
        server.stop()
    assert [useless.exists(), needed.exists()] == [False, True], "what no base backup needs is gone from the archive"
    needed.unlink()
    (base,) = scripts.files("base_*")
    assert {path.suffix for path in base.iterdir() if path.name not in ("SHA256SUMS", "START_WAL")} == {".gpg"}
    done = scripts.run("pitr-restore.sh", base, archive, "", open_folder / "pg", PG_OWNER="root")
    assert done.returncode == 0, done.stderr
    with started(open_folder / "pg") as url:
        assert content(url).rows == 0


def _log_files(archive: Path) -> list[Path]:
    return sorted(path for path in archive.iterdir() if len(path.name) == 24)


def _damage_log(file: Path) -> None:
    """Damage the first records of a file of the log, which are surely needed."""
    damaged = bytearray(file.read_bytes())
    for place in range(8192 + 40, 8192 + 200):
        damaged[place] ^= 0xFF
    file.write_bytes(damaged)
