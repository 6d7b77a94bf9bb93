"""The method that publishes the keys of access tokens, found by its option and not by a name."""

from __future__ import annotations

from collections.abc import Collection

from protobuf import DescFieldValueList, DescMessage, DescMethod, Registry

from gateway.contracts import descriptors, options
from gateway.contracts.descriptors import RuleError
from gateway.contracts.fields import find
from libs.rpc.access import PUBLIC


def publisher(registry: Registry, services: Collection[str]) -> DescMethod | None:
    """The method, or None where the contracts have none. `RuleError` when it cannot be asked, or there are two."""
    publishers = [
        rpc
        for service in descriptors.services(registry)
        for rpc in service.methods
        if descriptors.option(registry, rpc.proto.options, options.PUBLISHES_KEYS)
    ]
    for rpc in publishers:
        if why := _hindrance(registry, rpc, services):
            raise RuleError(f"{descriptors.full_name(rpc)[1:]}: option publishes_keys is for a method that {why}")
    if len(publishers) > 1:
        names = " and ".join(descriptors.full_name(rpc)[1:] for rpc in publishers)
        raise RuleError(f"option publishes_keys is for one method only, and is declared by {names}")
    return publishers[0] if publishers else None


def _hindrance(registry: Registry, rpc: DescMethod, services: Collection[str]) -> str:
    """What the method would have to be to be asked for keys; empty when it is all of it."""
    access = descriptors.option(registry, rpc.proto.options, options.ACCESS)
    if access is None or int(access.audience) != PUBLIC:
        return "everybody may call"
    if rpc.method_kind != "unary":
        return "answers once"
    if descriptors.owner(rpc) not in services:
        return "belongs to a configured service"
    keys = find(rpc.output, "keys")
    match keys.value if keys is not None else None:
        case DescFieldValueList(element=DescMessage()):
            return ""
        case _:
            return "answers with a list of keys"
