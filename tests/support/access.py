"""Who may call: what each contract says, the table that says it once more, and what no contract can say."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from bazaruto.options.v1 import options_pb2

TABLE: Final = Path(__file__).with_name("who_may_call.txt")
"""For every method of the platform a line: who may call it, and whose records it shows them."""

# An audience, the rest of the option, and why it is refused.
ACCESS_CONTRADICTIONS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("ROLES", {}, "lists roles with AUDIENCE_ROLES"),
    ("AUTHENTICATED", {"roles": ["admin"]}, "lists roles with AUDIENCE_ROLES"),
    ("INTERNAL", {}, "lists services with AUDIENCE_INTERNAL"),
    ("AUTHENTICATED", {"services": ["quotes"]}, "lists services with AUDIENCE_INTERNAL"),
    ("PUBLIC", {"sees": ["admin"]}, "has sees, partner or authority"),
    ("PUBLIC", {"partner": True}, "has sees, partner or authority"),
    ("PUBLIC", {"authority": "claim_limit"}, "has sees, partner or authority"),
    ("ROLES", {"roles": ["finance"], "sees": ["finance", "admin"]}, "has sees for admin, who may not call"),
    ("AUTHENTICATED", {"authority": "patience"}, "has the authority patience, which is none of"),
]


def as_text(audience: str, access: dict[str, Any]) -> str:
    """The option as a contract writes it."""
    texts = [f"audience: AUDIENCE_{audience}"]
    for name, given in access.items():
        several = given if isinstance(given, list) else [given]
        texts += [f"{name}: " + (str(one).lower() if isinstance(one, bool) else f'"{one}"') for one in several]
    return f"option (bazaruto.options.v1.access) = {{{' '.join(texts)}}};"


@cache
def all_methods() -> tuple[MethodDescriptor, ...]:
    """Every method of the packaged contracts, by their full names."""
    packaged = descriptor_pb2.FileDescriptorSet.FromString((files("bazaruto") / "descriptors.binpb").read_bytes())
    methods = []
    for file in packaged.file:
        if file.package.startswith("bazaruto."):
            importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
            services = descriptor_pool.Default().FindFileByName(file.name).services_by_name.values()
            methods += [method for service in services for method in service.methods]
    return tuple(sorted(methods, key=lambda method: str(method.full_name)))


def access_of(method: MethodDescriptor) -> options_pb2.Access:
    """The option `access` of a method."""
    access: options_pb2.Access = method.GetOptions().Extensions[options_pb2.access]
    return access


def row_of(method: MethodDescriptor) -> str:
    """What the contract of a method says, as a line of the table."""
    access, name = access_of(method), method.full_name.removeprefix("bazaruto.")
    match access.audience:
        case options_pb2.AUDIENCE_PUBLIC:
            who = ["everybody"]
        case options_pb2.AUDIENCE_INTERNAL:
            who = ["services " + " ".join(sorted(access.services))]
        case options_pb2.AUDIENCE_ROLES:
            who = ["roles " + " ".join(sorted(access.roles))]
        case _:
            who = ["signed in"]
    who += ["sees " + " ".join(sorted(access.sees))] if access.sees else []
    who += ["partner"] if access.partner else []
    who += [access.authority] if access.authority else []
    return f"{name}: {', '.join(who)}"


def table() -> list[str]:
    """The lines of the table."""
    return [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
