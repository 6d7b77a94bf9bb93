"""The image of PostgreSQL: what it adds to the official one is enough to back up a server and to upload the backup."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bazarutod import embedded
from bazarutod.stack import SERVICES
from tests.deploy.backup.installation import INSTALLED, SCRIPTS, Installation, installation, variables_of_cluster
from tests.deploy.programs import DEPLOY, program, run
from tests.deploy.s3 import running_s3

pytestmark = pytest.mark.xdist_group("image")  # both images are built in one store

DOCKERFILE = SCRIPTS / "Dockerfile"
WORK = Path("/var/tmp/bazaruto-image")
STORE = ("--root", f"{WORK}/store", "--runroot", f"{WORK}/run", "--storage-driver", "vfs")
BUCKET = "bazaruto-backups"


def test_hadolint_finds_nothing() -> None:
    assert run("hadolint", DOCKERFILE) == ""


def test_checkov_finds_nothing() -> None:
    configuration = DEPLOY / "checkov.yaml"
    report = run("checkov", "--config-file", configuration, "--framework", "dockerfile", "--file", DOCKERFILE)
    assert "Failed checks: 0" in report


@pytest.fixture
def store_of_backups() -> Iterator[str]:
    """The address of an S3 with the bucket."""
    with running_s3(BUCKET) as url:
        yield url


@pytest.fixture
def image() -> Iterator[str]:
    """The image, built on Debian alone: the programs of PostgreSQL come from elsewhere in these tests."""
    program("buildah")
    program("debootstrap")
    assert os.geteuid() == 0, "debootstrap needs root: sudo make test-deploy"
    tag = f"localhost/bazaruto-postgres-test:{os.getpid()}"
    environment = {**os.environ, "WORK": str(WORK), "FILE": str(DOCKERFILE)}
    subprocess.run([DEPLOY / "docker" / "build-offline.sh", tag], check=True, env=environment, timeout=800)
    try:
        yield tag
    finally:
        run("buildah", *STORE, "rmi", tag)


@pytest.mark.timeout(900)
def test_image_dumps_seals_and_uploads_as_a_pod_would(image: str, store_of_backups: str) -> None:
    with installation() as installed:
        given = _open_to_the_user_of_the_image(installed, store_of_backups)
        container = run("buildah", *STORE, "from", "--pull-never", image).strip()
        try:
            folders = [installed.folder, embedded.binaries().parents[2]]
            volumes = [f"--volume={folder}:{folder}" for folder in folders]
            variables = [f"--env={name}={value}" for name, value in given.items()]
            inside = ("run", "--isolation", "chroot", *volumes, *variables, container, "--")
            assert run("buildah", *STORE, *inside, "id", "-u").strip() == "999"
            for folder in ("/backups", "/wal-archive"):
                assert run("buildah", *STORE, *inside, "stat", "-c", "%U %a", folder).split() == ["UNKNOWN", "700"]
            output = run("buildah", *STORE, *inside, f"{INSTALLED}/backup.sh")
        finally:
            run("buildah", *STORE, "rm", container)
        assert output.count("wrote ") == len(SERVICES) + 1
        listing = httpx.get(f"{store_of_backups}/{BUCKET}").text
        assert listing.count(".sql.gz.age</Key>") == len(SERVICES) + 1
        assert (installed.backups / "bazaruto_backup_dump.prom").exists()


def _open_to_the_user_of_the_image(installed: Installation, s3: str) -> dict[str, str]:
    """The variables of the pod, with folders and secrets that its user can use."""
    (installed.folder / "secrets").chmod(0o755)
    credentials = installed.folder / "secrets" / "aws"
    credentials.write_text("[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
    for folder in (installed.backups, installed.folder / "tmp"):
        shutil.chown(folder, 999, 999)
    given = installed.environment(variables_of_cluster("dump"))
    del given["PATH"]  # the image's own
    return given | {"BACKUP_BUCKET": f"s3://{BUCKET}/", "S3_ENDPOINT_URL": s3}
