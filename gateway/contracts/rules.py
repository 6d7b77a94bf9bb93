"""The rules of the contracts: every `google.api.http` rule becomes a route, and is checked before anything is served.

A rule that is wrong, ambiguous or exposes an internal method stops the process with the rule named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from protobuf import DescField, DescMessage, DescMethod, Registry

from gateway.contracts import descriptors, options, templates
from gateway.contracts.descriptors import RuleError
from gateway.contracts.fields import FieldError, find, resolve
from gateway.contracts.options import Options
from gateway.contracts.routes import Route, RouteTable
from libs.rpc.access import INTERNAL

_BODILESS = frozenset({"GET", "DELETE", "HEAD"})
_PATTERNS = ("get", "put", "post", "delete", "patch")


def build(registry: Registry, services: Iterable[str]) -> RouteTable:
    """Read every rule of the contracts. `services` are the processes that can be called."""
    known = frozenset(services)
    routes: list[Route] = []
    for service in descriptors.services(registry):
        for rpc in service.methods:
            rule = descriptors.option(registry, rpc.proto.options, "google.api.http")
            if rule is None:
                continue
            bindings = (rule, *rule.additional_bindings)
            declared = options.of_method(
                registry,
                rpc,
                reads=_pattern(rule)[0] == "GET",
                has_body=any(binding.body for binding in bindings),
            )
            for binding in bindings:
                if binding is not rule and binding.additional_bindings:
                    raise RuleError(f"{descriptors.full_name(rpc)[1:]}: additional_bindings cannot be nested")
                routes.append(_route(rpc, binding, known, declared))
    return RouteTable(routes)


def _route(rpc: DescMethod, rule: Any, services: frozenset[str], declared: Options) -> Route:
    http_method, text = _pattern(rule)
    where = f"{descriptors.full_name(rpc)[1:]} ({http_method or '?'} {text})"

    def refuse(why: str) -> RuleError:
        return RuleError(f"{where}: {why}")

    if not http_method:
        raise refuse("names no method and path")
    if declared.access.audience == INTERNAL:
        raise refuse("is for internal services only and cannot have a route")
    if declared.limits.if_match and http_method == "GET":
        raise refuse("option if_match is for a change, and this is a GET")
    service = descriptors.owner(rpc)
    if service not in services:
        raise refuse(f"belongs to no configured service ({service or rpc.parent.type_name})")
    if rpc.method_kind not in ("unary", "server_streaming"):
        raise refuse("takes a stream, which a route cannot give")
    if rule.body and http_method in _BODILESS:
        raise refuse(f"has a body, which {http_method} has not")
    try:
        template = templates.parse(text)
        path_fields = tuple(resolve(rpc.input, variable.field_path) for variable in template.variables)
    except (templates.TemplateError, FieldError) as error:
        raise refuse(str(error)) from None
    for one in path_fields:
        if one.repeated or one.map_key is not None:
            raise refuse(f"{one.path} is repeated and cannot be part of the path")
    body_field = _top_level(rpc.input, rule.body, refuse, "body") if rule.body not in ("", "*") else None
    response = _top_level(rpc.output, rule.response_body, refuse, "response_body") if rule.response_body else None
    return Route(
        rpc,
        service,
        http_method,
        template,
        path_fields,
        body_field.name if body_field else rule.body,
        body_field,
        response,
        declared,
    )


def _pattern(rule: Any) -> tuple[str, str]:
    if rule.pattern is None:
        return "", ""
    if rule.pattern.field in _PATTERNS:
        return rule.pattern.field.upper(), rule.pattern.value
    return rule.pattern.value.kind.upper(), rule.pattern.value.path


def _top_level(message: DescMessage, name: str, refuse: Any, what: str) -> DescField:
    field = find(message, name)
    if field is None:
        raise refuse(f"{what} names {name!r}, which is no field of {message.name}")
    return field
