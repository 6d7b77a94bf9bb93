"""Configuration, secrets and the application's data: sealed, private, and the same when they come back."""

from __future__ import annotations

import filecmp
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.deploy.backup.scripts import Scripts, sealing
from tests.support.books import mode


@pytest.fixture
def keeping(tmp_path: Path) -> Scripts:
    """The scripts, with a configuration to keep and no database."""
    for folder in ("metrics", "backups", "etc/secrets/keys", "out"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/config.yaml").write_text("log_level: info\n")
    (tmp_path / "etc/secrets/internal").write_text("a secret of the services")
    (tmp_path / "etc/secrets/keys/2026.pem").write_text("a signing key")
    (tmp_path / "etc/secrets/internal").chmod(0o400)
    return Scripts(tmp_path, "host=127.0.0.1 port=1 user=nobody dbname=none", {"CONFIG_DIR": str(tmp_path / "etc")})


def _unpacked(keeping: Scripts, archive: Path, key: dict[str, str]) -> Path:
    """Open a sealed archive with the program itself, not with the scripts."""
    if archive.suffix == ".age":
        command = ["age", "--decrypt", "--identity", key["AGE_IDENTITY_FILE"], str(archive)]
    elif archive.suffix == ".gpg":
        home = keeping.folder / "gnupg"
        home.mkdir(mode=0o700)
        command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase-file", key["GPG_PASSPHRASE_FILE"], "--decrypt", str(archive)]
    else:
        command = ["cat", str(archive)]
    opened = subprocess.run(command, check=True, capture_output=True).stdout
    (keeping.folder / "opened.tar.gz").write_bytes(opened)
    with tarfile.open(keeping.folder / "opened.tar.gz") as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(keeping.folder / "out")
    return keeping.folder / "out"


def _same(one: Path, other: Path) -> bool:
    compared = filecmp.dircmp(one, other)
    _, differing, unreadable = filecmp.cmpfiles(one, other, compared.common_files, shallow=False)
    alone = compared.left_only + compared.right_only
    return not (differing or unreadable or alone) and all(_same(one / d, other / d) for d in compared.common_dirs)


@pytest.mark.parametrize("program", ["gpg", "age"])
def test_the_configuration_comes_back_without_a_difference(keeping: Scripts, program: str) -> None:
    key = sealing(keeping.folder, program)
    done = keeping.run("config-backup.sh", **key)
    assert done.returncode == 0, done.stderr
    (archive,) = keeping.files()
    assert re.fullmatch(rf"config_backup_\d{{8}}\.tar\.gz\.{program}", archive.name)
    assert mode(archive) == 0o600
    assert _same(keeping.folder / "etc", _unpacked(keeping, archive, key))
    assert 'kind="config"' in (keeping.metrics / "bazaruto_backup_config.prom").read_text()


def test_secrets_are_not_backed_up_in_the_clear(keeping: Scripts) -> None:
    done = keeping.run("config-backup.sh")
    assert done.returncode != 0
    assert "this holds secrets" in done.stderr
    assert keeping.leftovers() == []


def test_a_missing_configuration_leaves_no_file(keeping: Scripts) -> None:
    (keeping.folder / "etc/config.yaml").unlink()
    done = keeping.run("config-backup.sh", **sealing(keeping.folder, "gpg"))
    assert done.returncode != 0
    assert keeping.leftovers() == []


def test_a_second_configuration_backup_of_a_day_replaces_the_first(keeping: Scripts) -> None:
    key = sealing(keeping.folder, "gpg")
    keeping.run("config-backup.sh", **key)
    (keeping.folder / "etc/config.yaml").write_text("log_level: debug\n")
    assert keeping.run("config-backup.sh", **key).returncode == 0
    (archive,) = keeping.files()
    assert _same(keeping.folder / "etc", _unpacked(keeping, archive, key))


def test_the_application_data_comes_back_without_the_files_of_a_database(keeping: Scripts) -> None:
    app_data = keeping.folder / "bazaruto"
    (app_data / "uploads").mkdir(parents=True)
    (app_data / "uploads/photo.jpg").write_bytes(bytes(range(256)) * 100)
    (app_data / "pg").mkdir()
    (app_data / "pg/PG_VERSION").write_text("18\n")
    done = keeping.run("app-data-backup.sh", APP_DATA_DIR=str(app_data))
    assert done.returncode == 0, done.stderr
    (archive,) = keeping.files()
    assert re.fullmatch(r"app_data_backup_\d{8}\.tar\.gz", archive.name)
    assert mode(archive) == 0o600
    restored = _unpacked(keeping, archive, {}) / "bazaruto"
    assert not (restored / "pg/PG_VERSION").exists()
    assert _same(app_data / "uploads", restored / "uploads")


def test_missing_application_data_leaves_no_file(keeping: Scripts) -> None:
    done = keeping.run("app-data-backup.sh", APP_DATA_DIR=str(keeping.folder / "none"))
    assert done.returncode != 0
    assert keeping.leftovers() == []
