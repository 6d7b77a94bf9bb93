"""The contracts as the gateway sees them: the descriptor set, and what each method declares about itself."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from google.api import httpbody_pb2
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from protobuf import DescMethod, DescService, Message, Registry
from protobuf.wkt import FileDescriptorProto, FileDescriptorSet
from protobuf.wkt.google.protobuf.descriptor_pb import DescriptorProto

from gateway.contracts.fields import camel

# What the gateway renders itself, also when no contract imports it. In order of their imports.
_OWN = (any_pb2, duration_pb2, error_details_pb2, status_pb2, httpbody_pb2)


class RuleError(Exception):
    """The contracts say what cannot be served; the message names the rule and its method."""


def load(path: str = "") -> Registry:
    """Read a descriptor set: the packaged one, or the one at `path`."""
    source = Path(path) if path else files("bazaruto").joinpath("descriptors.binpb")
    return registry(source.read_bytes())


def registry(descriptor_set: bytes) -> Registry:
    """Types of a serialized `FileDescriptorSet`, and those that the gateway itself needs."""
    contracts = FileDescriptorSet.from_binary(descriptor_set)
    present = {file.name for file in contracts.file}
    for module in _OWN:
        if module.DESCRIPTOR.name not in present:
            file = FileDescriptorProto.from_binary(module.DESCRIPTOR.serialized_pb)
            _add_json_names(file.message_type)
            contracts.file.append(file)
    return contracts.to_registry()


def _add_json_names(messages: list[DescriptorProto]) -> None:
    """Python modules carry descriptors without the JSON names that the compiler works out."""
    for message in messages:
        for field in message.field:
            field.json_name = camel(field.name)
        _add_json_names(message.nested_type)


def services(contracts: Registry) -> list[DescService]:
    """Every service, in the order of their names."""
    declared = [item for item in contracts if isinstance(item, DescService)]
    return sorted(declared, key=lambda service: service.type_name)


def owner(method: DescMethod) -> str:
    """The service process that answers a method: `lending` for `bazaruto.lending.v1.LibraryService`."""
    parts = method.parent.type_name.split(".")
    return parts[1] if len(parts) > 3 else ""


def option(contracts: Registry, options: Message | None, name: str) -> Any:
    """The value of an extension such as `google.api.http`, or None where it is not set or not known."""
    extension = contracts.extension(name)
    if extension is None or options is None or extension.type not in options:
        return None
    return cast(Any, options)[extension.type]


def full_name(method: DescMethod) -> str:
    """The path of a method on the wire, for example `/bazaruto.lending.v1.LibraryService/GetBook`."""
    return f"/{method.parent.type_name}/{method.name}"
