"""What a method declares about itself, beyond its route, in the options of `bazaruto.options.v1`.

Options that contradict each other, and those that this gateway does not know, stop the process: what a contract
promises and nobody keeps is worse than a gateway that does not start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from protobuf import DescExtension, DescMethod, Registry

from gateway.contracts import descriptors
from gateway.contracts.descriptors import RuleError
from libs.rpc import access, limits
from libs.rpc.access import Access
from libs.rpc.limits import MethodLimits

NO_KEY, KEY_REQUIRED, KEY_OPTIONAL, NO_EFFECT, KEY_FORWARDED = 0, 1, 2, 3, 4  # bazaruto.options.v1.Idempotency
_IDEMPOTENCIES = (NO_KEY, KEY_REQUIRED, KEY_OPTIONAL, NO_EFFECT, KEY_FORWARDED)
_PACKAGE = "bazaruto.options.v1."
ACCESS, PUBLISHES_KEYS = f"{_PACKAGE}access", f"{_PACKAGE}publishes_keys"
_KNOWN = frozenset({"access", "idempotency", "deadline", "max_body_bytes", "if_match", "publishes_keys"})


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one method."""

    access: Access
    """Who may call, and whose records are shown."""
    idempotency: int
    limits: MethodLimits


def of_method(registry: Registry, rpc: DescMethod, *, reads: bool, has_body: bool) -> Options:
    """The options of a method that reads (its route is a GET) or has a body over HTTP.

    `RuleError` names the method and the option that is wrong.
    """

    def declared(name: str) -> Any:
        return descriptors.option(registry, rpc.proto.options, _PACKAGE + name)

    def refuse(why: str) -> RuleError:
        return RuleError(f"{descriptors.full_name(rpc)[1:]}: {why}")

    for name in _unknown(registry):
        if declared(name) is not None:
            raise refuse(f"declares option {name}, which this gateway does not know")
    admitted = declared("access")
    if admitted is None or not int(admitted.audience):
        raise refuse("does not say who may call it")
    idempotency = int(declared("idempotency") or 0)
    if idempotency not in _IDEMPOTENCIES:
        raise refuse(f"option idempotency is {idempotency}, which this gateway does not know")
    deadline = declared("deadline")
    try:
        rule = access.of_method(
            int(admitted.audience),
            roles=admitted.roles,
            sees=admitted.sees,
            partner=admitted.partner,
            authority=admitted.authority,
            services=admitted.services,
        )
        limit = limits.of_method(
            reads=reads,
            streams=rpc.method_kind == "server_streaming",
            has_body=has_body,
            deadline=None if deadline is None else deadline.seconds + deadline.nanos / 1e9,
            max_body_bytes=declared("max_body_bytes"),
            if_match=bool(declared("if_match")),
        )
    except (access.AccessInvalid, limits.LimitInvalid) as error:
        raise refuse(str(error)) from None
    return Options(rule, idempotency, limit)


@cache
def _unknown(registry: Registry) -> tuple[str, ...]:
    """Options of the package that are younger than this gateway."""
    names = (item.type_name for item in registry if isinstance(item, DescExtension))
    return tuple(
        name.removeprefix(_PACKAGE)
        for name in names
        if name.startswith(_PACKAGE) and name.removeprefix(_PACKAGE) not in _KNOWN
    )
