"""What is uploaded arrives whole: a real `aws` command against an S3 on loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.backup.scripts import Scripts
from tests.deploy.s3 import running_s3

_DEPLOY = Path(__file__).parents[3] / ".venv" / "deploy" / "bin"
_PATH = f"{_DEPLOY}:{os.environ.get('PATH', '')}"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 with the bucket of the guide."""
    with running_s3("bazaruto-backups") as url:
        yield url


@pytest.fixture
def uploading(scripts: Scripts, s3: str) -> Scripts:
    """The scripts with a login for that S3."""
    scripts.variables |= {"PATH": _PATH, "S3_ENDPOINT_URL": s3, "BACKUP_BUCKET": "s3://bazaruto-backups/"}
    scripts.variables |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    scripts.variables |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    return scripts


def _arrived(uploading: Scripts, name: str) -> bytes:
    """What the store has."""
    command = ["aws", "--endpoint-url", uploading.variables["S3_ENDPOINT_URL"]]
    command += ["s3", "cp", f"s3://bazaruto-backups/{name}", "-"]
    return subprocess.run(command, env=uploading.variables, check=True, capture_output=True).stdout


def test_a_dump_arrives_with_its_size_and_checksum(uploading: Scripts) -> None:
    dump = uploading.dump()
    arrived = _arrived(uploading, dump.name)
    assert len(arrived) == dump.stat().st_size
    stored_sum = _arrived(uploading, f"{dump.name}.sha256").decode()
    assert stored_sum.split() == [hashlib.sha256(arrived).hexdigest(), dump.name]


def test_a_missing_bucket_fails_the_backup(uploading: Scripts) -> None:
    done = uploading.run("backup.sh", BACKUP_BUCKET="s3://somebody-elses/")
    assert done.returncode != 0
    assert "was not uploaded to s3://somebody-elses/" in done.stderr
    assert list(uploading.metrics.iterdir()) == []


def test_a_store_that_kept_only_a_part_fails_the_backup(uploading: Scripts, tmp_path: Path) -> None:
    (tmp_path / "aws").write_text('#!/bin/sh\ncase "$*" in *head-object*) echo 17 ;; esac\n')
    (tmp_path / "aws").chmod(0o755)
    done = uploading.run("backup.sh", PATH=f"{tmp_path}:{_PATH}")
    assert done.returncode != 0
    assert "has 17 bytes, which is not all of it" in done.stderr
