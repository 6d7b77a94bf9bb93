"""The kinds of jobs that the services do every day, found in the modules that declare them."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.util import find_spec
from typing import Any

from bazarutod.stack import SERVICES
from libs.jobs import JobKind


def daily_kinds() -> dict[str, list[JobKind[Any]]]:
    """The daily kinds of each service."""
    return {service: [kind for kind in _kinds(service) if kind.daily] for service in SERVICES}


def _kinds(service: str) -> list[JobKind[Any]]:
    package = importlib.import_module(f"services.{service}")
    modules = [module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg]
    names = [f"services.{service}.{module}.kinds" for module in modules]
    return [
        value
        for name in names
        if find_spec(name)
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, JobKind)
    ]
