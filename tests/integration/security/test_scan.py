"""The scans of dependencies, secrets and the image: none is clean because nobody looked.

The scanners are stood for by small programs that write what the real ones write, because the real ones ask the
internet. `deploy/security/scan.sh` itself is the one that is shipped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.security import verdicts

ROOT = Path(__file__).parents[3]
SCAN = ROOT / "deploy/security/scan.sh"
UPDATE = ROOT / "deploy/security/update-dependencies.sh"
WEAK = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "CVE-2019-10906", "fix_versions": ["2.10.1"]}]}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder whose programs go before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def stand_in(programs: Path, name: str, script: str) -> None:
    """A program of that name."""
    path = programs / name
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def auditor(programs: Path, known_weak: str, others: str, code: int = 0) -> None:
    """A pip-audit that writes one thing about the package known to be weak and another about the rest."""
    stand_in(
        programs,
        "pip-audit",
        f"""
        while [ $# -gt 0 ]; do
          case $1 in --requirement) from=$2 ;; --output) to=$2 ;; esac
          shift
        done
        case $from in *known-weak.txt) text='{known_weak}' ;; *) text='{others}' ;; esac
        [ -z "$text" ] || echo "$text" > "$to"
        exit {code}""",
    )


def report_of(lock: str, **changes: dict[str, Any]) -> str:
    """What pip-audit writes about every package of a lock file; `changes` add to some."""
    packages = [
        {"name": name, "version": version, "vulns": [], **changes.get(name.replace("-", "_"), {})}
        for name, version, _ in verdicts._pinned(str(ROOT / "requirements" / lock))
    ]
    return json.dumps({"dependencies": packages, "fixes": []})


def scan(programs: Path, part: str) -> tuple[int, str]:
    """Run a part of the scan."""
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "REPORTS": str(programs.parent / "reports"),
    }
    done = subprocess.run([SCAN, part], env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_clean_dependencies_pass_only_after_the_known_weak_one_was_found(programs: Path) -> None:
    auditor(programs, json.dumps({"dependencies": [WEAK]}), report_of("run.lock"), code=1)
    code, printed = scan(programs, "dependencies")
    assert code == 0, printed
    assert "0 weak" in printed


@pytest.mark.parametrize(
    "known_weak",
    [
        "",
        json.dumps({"dependencies": []}),
        json.dumps({"dependencies": [{**WEAK, "vulns": []}]}),
        json.dumps({"dependencies": [{"name": "jinja2", "skip_reason": "not found"}]}),
    ],
)
def test_blind_source_of_advisories_is_not_a_pass(programs: Path, known_weak: str) -> None:
    auditor(programs, known_weak, report_of("run.lock"))
    code, printed = scan(programs, "dependencies")
    assert code == 3
    assert "not run" in printed


def test_weak_dependency_is_found_and_named(programs: Path) -> None:
    weak = {"vulns": [{"id": "CVE-2026-1", "fix_versions": ["99.0"]}]}
    auditor(programs, json.dumps({"dependencies": [WEAK]}), report_of("run.lock", cryptography=weak), code=1)
    code, printed = scan(programs, "dependencies")
    assert code == 1
    assert "CVE-2026-1, mended in 99.0" in printed


def test_skipped_dependency_is_not_a_pass(programs: Path) -> None:
    skipped = {"skip_reason": "Dependency not found on PyPI"}
    auditor(programs, json.dumps({"dependencies": [WEAK]}), report_of("run.lock", cryptography=skipped))
    code, printed = scan(programs, "dependencies")
    assert code == 3
    assert "cryptography" in printed


def test_dependency_that_the_report_leaves_out_is_not_a_pass(programs: Path) -> None:
    report = json.loads(report_of("run.lock"))
    report["dependencies"] = [item for item in report["dependencies"] if item["name"] != "cryptography"]
    auditor(programs, json.dumps({"dependencies": [WEAK]}), json.dumps(report))
    assert scan(programs, "dependencies")[0] == 3


def test_list_of_what_is_shipped_holds_every_package_of_the_lock_file(tmp_path: Path) -> None:
    lock = str(ROOT / "requirements/image.lock")
    listed = [{"name": name, "version": version} for name, version, _ in verdicts._pinned(lock)]
    report = tmp_path / "sbom.json"
    report.write_text(json.dumps({"components": listed}))
    assert len(listed) > 30
    assert verdicts.sbom(str(report), lock) == 0
    report.write_text(json.dumps({"components": listed[1:]}))
    assert verdicts.sbom(str(report), lock) == 1


def test_scanner_that_breaks_off_fails_its_part(programs: Path) -> None:
    stand_in(programs, "cyclonedx-py", "exit 5")
    assert scan(programs, "sbom")[0] != 0


def test_secret_is_found_unless_it_was_reviewed_at_that_place(tmp_path: Path) -> None:
    reviewed, report = tmp_path / "reviewed.txt", tmp_path / "report.json"
    reviewed.write_text("# path | kind | reason\na.yaml | Secret Keyword | the name of a Secret\n")
    item = {"type": "Secret Keyword", "line_number": 3}
    report.write_text(json.dumps({"results": {"a.yaml": [item]}}))
    assert verdicts.secrets(str(reviewed), str(report)) == 0
    report.write_text(json.dumps({"results": {"a.yaml": [{**item, "type": "AWS Access Key"}], "b.yaml": [item]}}))
    assert verdicts.secrets(str(reviewed), str(report)) == 1


def test_every_reviewed_secret_has_a_reason_and_its_file() -> None:
    lines = (ROOT / "deploy/security/reviewed-secrets.txt").read_text().splitlines()
    for line in lines[1:]:
        path, kind, reason = line.split(" | ")
        assert (ROOT / path).is_file(), path
        assert kind
        assert len(reason) > 10


def test_image_that_nobody_scanned_is_not_a_pass(programs: Path) -> None:
    stand_in(programs, "hadolint", "exit 0")
    code, printed = scan(programs, "container")
    assert code == 3
    assert "there is no trivy" in printed
    stand_in(programs, "trivy", 'echo "trivy $*"; exit 0')
    code, printed = scan(programs, "container")
    assert (code, "bazaruto:latest" in printed) == (0, True)
    stand_in(programs, "trivy", "exit 1")
    assert scan(programs, "container")[0] == 1


def test_unknown_part_is_refused(programs: Path) -> None:
    assert scan(programs, "everything")[0] == 2


def test_update_tells_which_versions_changed(tmp_path: Path) -> None:
    for folder, text in (("old", "alembic==1.0 \\\n    --hash=x\nredis==8.1\n"), ("new", "alembic==1.1\nrich==15\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run.lock").write_text(text)
    command = [str(UPDATE), "diff", str(tmp_path / "old"), str(tmp_path / "new")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed.splitlines() == ["run: alembic 1.0 -> 1.1", "run: redis 8.1 -> none", "run: rich none -> 15"]
    same = [*command[:3], str(tmp_path / "old")]
    assert subprocess.run(same, capture_output=True, text=True, check=True, timeout=30).stdout == "nothing changed\n"


def test_update_tells_which_tag_has_left_its_digest_behind(programs: Path) -> None:
    deployed = (path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".pyc")
    files = [ROOT / "docker-compose.yml", *deployed]
    lines = "".join(path.read_text() for path in files)
    pairs = set(re.findall(r"(?:FROM|image:) (\S+:\S+)@(sha256:[0-9a-f]{64})", lines))
    composed = re.findall(r"image: ([^:@\s]+)@(sha256:[0-9a-f]{64}) # (\S+)", lines)
    assert {name for name, _, _ in composed} >= {"redis", "prom/prometheus", "grafana/grafana"}
    pairs |= {(f"{name}:{tag}", digest) for name, digest, tag in composed}
    pins = dict(pairs)
    assert len(pins) == len(pairs), "an image is the same one wherever it is named"
    registry = programs / "registry"
    stand_in(programs, "docker", f'sed -n "s|^$6 ||p" {registry}')

    def update(published: dict[str, str]) -> str:
        registry.write_text("".join(f"{image} {digest}\n" for image, digest in published.items()))
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        command = [str(UPDATE), "images"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=environment).stdout

    moved, digest = "python:3.11-slim", f"sha256:{'0' * 64}"
    assert update(pins) == "nothing changed\n"
    assert update(pins | {moved: digest}) == f"{moved}: {pins[moved]} -> {digest}\n"


def test_every_installed_package_is_pinned_by_hash() -> None:
    for lock in (ROOT / "requirements").glob("*.lock"):
        blocks = lock.read_text().split("\n")
        pinned = [index for index, line in enumerate(blocks) if "==" in line]
        assert pinned
        assert all("--hash=sha256:" in blocks[index + 1] for index in pinned), lock
        assert "://" not in lock.read_text()
