"""The manifests of an overlay, as the cluster would get them."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any

import yaml

from tests.deploy.programs import DEPLOY, run

OVERLAYS = ("development", "production", "hotfix")
Manifest = dict[str, Any]


@cache
def rendered(overlay: str) -> str:
    """What `kubectl kustomize` makes of an overlay."""
    return run("kubectl", "kustomize", DEPLOY / "kubernetes" / "overlays" / overlay)


@cache
def _read(overlay: str) -> dict[tuple[str, str], Manifest]:
    documents = [manifest for manifest in yaml.load_all(rendered(overlay), Loader=yaml.CSafeLoader) if manifest]
    named = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in documents}
    assert len(named) == len(documents)
    return named


def manifests(overlay: str) -> dict[tuple[str, str], Manifest]:
    """The manifests of an overlay, by kind and name."""
    return deepcopy(_read(overlay))


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    """The manifests of one kind, by name."""
    return {name: manifest for (manifest_kind, name), manifest in manifests(overlay).items() if manifest_kind == kind}


def pods(overlay: str) -> dict[str, Manifest]:
    """The pod templates of everything that runs, by name."""
    kinds = ("Deployment", "StatefulSet", "Job")
    templates = {name: m["spec"]["template"] for (kind, name), m in manifests(overlay).items() if kind in kinds}
    for name, schedule in of_kind(overlay, "CronJob").items():
        templates[name] = schedule["spec"]["jobTemplate"]["spec"]["template"]
    return templates


def deployment_name(process: str) -> str:
    """The Deployment of a process: the gateway's has the name that the operations guide gives it."""
    return "bazaruto" if process == "gateway" else process
