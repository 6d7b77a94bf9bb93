"""What the scanners wrote, judged: nothing is clean because nobody looked. Needs the standard library only.

Exit 0 means clean, 1 that something was found, 3 that it could not be looked at.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLEAN, FOUND, NOT_RUN = 0, 1, 3
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)\s*(;.*?)?\s*\\?$")


def sbom(report: str, lock: str) -> int:
    """The list must hold every package of the lock file in its version."""
    listed = {(_name(item["name"]), item["version"]) for item in _read(report).get("components", [])}
    missing = sorted(f"{name} {version}" for name, version, _ in _pinned(lock) if (name, version) not in listed)
    if missing:
        print(f"sbom: {len(missing)} packages are missing: {', '.join(missing[:5])}")
        return FOUND
    print(f"sbom: {len(listed)} packages in {report}")
    return CLEAN


def canary(report: str) -> int:
    """The source of advisories must know of the package that is known to be weak."""
    weak = [item for item in _dependencies(report) if item.get("vulns")]
    if weak:
        return CLEAN
    print("dependencies: not run: the advisories cannot be reached, or know nothing even of a package known to be weak")
    return NOT_RUN


def advisories(report: str, lock: str) -> int:
    """Every package that is always installed was looked at, and none has an advisory."""
    found = _dependencies(report)
    skipped = sorted(_name(item["name"]) for item in found if "skip_reason" in item)
    looked_at = {_name(item["name"]) for item in found} - set(skipped)
    missed = sorted({name for name, _, condition in _pinned(lock) if not condition} - looked_at)
    weak = [(item["name"], item["version"], item["vulns"]) for item in found if item.get("vulns")]
    for name, version, vulnerabilities in weak:
        for one in vulnerabilities:
            print(f"dependencies: {name} {version}: {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}")
    if skipped or missed:
        names = sorted({*skipped, *missed})
        print(f"dependencies: not run: {len(names)} packages of {Path(lock).name} were not looked at: {names[:5]}")
        return NOT_RUN
    print(f"dependencies: {len(looked_at)} packages of {Path(lock).name} looked at, {len(weak)} weak")
    return FOUND if weak else CLEAN


def secrets(reviewed: str, *reports: str) -> int:
    """Nothing that looks like a secret, but what somebody looked at and gave a reason for."""
    lines = [line for line in Path(reviewed).read_text().splitlines() if line and not line.startswith("#")]
    known = {tuple(line.split(" | ")[:2]) for line in lines}
    found = 0
    for report in reports:
        for path, items in _read(report)["results"].items():
            for item in items:
                if (path, item["type"]) not in known:
                    found += 1
                    print(f"secrets: {path}:{item['line_number']}: {item['type']}")
    print(f"secrets: {found} new in {len(reports)} scans")
    return FOUND if found else CLEAN


def _dependencies(report: str) -> list[dict[str, Any]]:
    """What pip-audit wrote; nothing when it gave up before it could write."""
    try:
        found: list[dict[str, Any]] = _read(report)["dependencies"]
    except (OSError, ValueError, KeyError):
        return []
    return found


def _pinned(lock: str) -> list[tuple[str, str, str]]:
    """Name, version and condition of each line of a lock file."""
    matches = (_PINNED.match(line) for line in Path(lock).read_text().splitlines())
    return [(_name(match[1]), match[2], match[3] or "") for match in matches if match]


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_text())
    return found


if __name__ == "__main__":
    verdicts: dict[str, Callable[..., int]] = {f.__name__: f for f in (sbom, canary, advisories, secrets)}
    sys.exit(verdicts[sys.argv[1]](*sys.argv[2:]))
