"""restore.sh: what came out equals what went in, and a bad file changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bazarutod.ports import free_port
from tests.deploy.backup.scripts import Scripts, sealing, sum_again
from tests.support import books
from tests.support.books import content, is_empty


def _name(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def test_a_restored_database_has_the_same_rows_checksums_and_trial_balance(scripts: Scripts, empty: str) -> None:
    dump = scripts.dump()
    done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
    assert done.returncode == 0, done.stderr
    assert content(empty) == content(scripts.url)
    assert {c: s.difference for c, s in content(empty).trial_balance.items()} == {"EUR": 0, "USD": 0}
    assert content(empty).tables["public.postings"].rows == 10


def test_a_restored_database_keeps_its_rules(scripts: Scripts, empty: str) -> None:
    scripts.run("restore.sh", scripts.dump(), DB_NAME=_name(empty))
    with psycopg.connect(empty) as connection, pytest.raises(psycopg.Error):
        connection.execute("DELETE FROM journals")


@pytest.mark.parametrize("program", ["gpg", "age"])
def test_a_sealed_dump_is_restored_with_the_key(scripts: Scripts, empty: str, tmp_path: Path, program: str) -> None:
    key = sealing(tmp_path, program)
    done = scripts.run("restore.sh", scripts.dump(**key), DB_NAME=_name(empty), **key)
    assert done.returncode == 0, done.stderr
    assert content(empty) == content(scripts.url)


def test_another_passphrase_changes_nothing(scripts: Scripts, empty: str, tmp_path: Path) -> None:
    dump = scripts.dump(**sealing(tmp_path, "gpg"))
    (tmp_path / "other").write_text("another passphrase")
    done = scripts.run("restore.sh", dump, DB_NAME=_name(empty), GPG_PASSPHRASE_FILE=str(tmp_path / "other"))
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert is_empty(empty)


@pytest.mark.parametrize("ruin", [books.cut_off, books.flip_a_bit])
def test_a_damaged_file_is_refused_before_the_server_is_asked(scripts: Scripts, ruin: Callable[[Path], None]) -> None:
    dump = scripts.dump()
    ruin(dump)
    done = scripts.run("restore.sh", dump, DB_PORT=str(free_port()))  # nobody is there to be asked
    assert done.returncode != 0
    assert "is damaged: its checksum is another one" in done.stderr


@pytest.mark.parametrize("ruin", [books.cut_off, books.flip_a_bit])
def test_a_file_damaged_before_it_was_summed_is_refused_too(
    scripts: Scripts, empty: str, ruin: Callable[[Path], None]
) -> None:
    dump = scripts.dump()
    ruin(dump)
    sum_again(dump)
    done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert is_empty(empty)


def test_the_empty_dump_of_the_guides_script_is_refused(scripts: Scripts, empty: str) -> None:
    dump = scripts.backups / "backup_20240115_120000.sql.gz"
    os.system(f"printf '' | gzip > {dump}")  # what `pg_dump | gzip` leaves when there is no server
    sum_again(dump)
    done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
    assert done.returncode != 0
    assert is_empty(empty)


def test_a_file_without_its_checksum_is_refused(scripts: Scripts, empty: str) -> None:
    dump = scripts.dump()
    dump.with_name(f"{dump.name}.sha256").unlink()
    done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
    assert done.returncode != 0
    assert is_empty(empty)


def test_a_database_in_use_is_not_restored_over(scripts: Scripts, make_database: Callable[[str], str]) -> None:
    other = make_database("payments")
    before = content(other)
    done = scripts.run("restore.sh", scripts.dump(), DB_NAME=_name(other))
    assert done.returncode != 0
    assert "is not empty" in done.stderr
    assert content(other) == before


def test_a_restore_that_fails_midway_leaves_the_database_empty(scripts: Scripts, empty: str) -> None:
    role = f"short_lived_{os.getpid()}"
    with psycopg.connect(scripts.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}".encode())
        connection.execute(f"ALTER TABLE sandbox_charges OWNER TO {role}".encode())
        dump = scripts.dump()
        roles = scripts.files("roles_*")[-1]
        connection.execute("ALTER TABLE sandbox_charges OWNER TO postgres")
        connection.execute(f"DROP ROLE {role}".encode())
        done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
        assert done.returncode != 0
        assert f'role "{role}" does not exist' in done.stderr
        assert is_empty(empty)

        # With the roles, which are the server's and lie beside the dump, it works.
        assert scripts.run("restore.sh", roles).returncode == 0
        done = scripts.run("restore.sh", dump, DB_NAME=_name(empty))
        assert done.returncode == 0, done.stderr
        with psycopg.connect(make_conninfo(empty), autocommit=True) as restored:
            restored.execute(f"REASSIGN OWNED BY {role} TO postgres".encode())
        connection.execute(f"DROP ROLE {role}".encode())
