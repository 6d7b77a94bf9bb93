"""The route table: every `google.api.http` rule of the contracts, checked, and found by method and path.

The most specific template wins, whatever the order of the contracts: first a template with the verb of the
path, then segment by segment a literal before `*` before `**`. A rule that is wrong, ambiguous or exposes an
internal method stops the process with the rule named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from protobuf import DescField, DescFieldValueMessage, DescMessage, DescMethod, Registry

from gateway.contracts import descriptors, templates
from gateway.contracts.fields import Field, FieldError, find, resolve
from gateway.contracts.templates import ONE, REST, Template

ANY_METHOD = "*"
_BODILESS = frozenset({"GET", "DELETE", "HEAD"})
_PATTERNS = ("get", "put", "post", "delete", "patch")
_PUBLIC, _INTERNAL = 1, 4  # bazaruto.options.v1.Audience
_REQUIRED, _OPTIONAL, _NO_EFFECT = 1, 2, 3  # bazaruto.options.v1.Idempotency


class RuleError(Exception):
    """A rule of the contracts cannot be served; the message names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """One way to call one method over HTTP."""

    rpc: DescMethod
    service: str
    http_method: str
    template: Template
    path_fields: tuple[Field, ...]  # one for each variable of the template, in order
    body: str  # "", "*", or the name of a field in the contract
    body_field: DescField | None
    response_field: DescField | None
    access: Any  # bazaruto.options.v1.Access
    idempotency: int

    @property
    def name(self) -> str:
        """The route as metrics, spans and logs write it: `/v1/policies/{policy_id}`."""
        return self.template.text

    @property
    def streaming(self) -> bool:
        """Whether the method answers with a stream."""
        return self.rpc.method_kind == "server_streaming"

    @property
    def needs_key(self) -> bool:
        """Whether it cannot be called without an idempotency key."""
        return self.idempotency == _REQUIRED

    @property
    def may_have_key(self) -> bool:
        """Whether an idempotency key may be given, and makes it safe to repeat."""
        return self.idempotency == _OPTIONAL

    @property
    def is_repeatable(self) -> bool:
        """Whether every call is safe to repeat: it changes nothing, or has a key."""
        return self.http_method == "GET" or self.idempotency in (_REQUIRED, _NO_EFFECT)

    @property
    def is_public(self) -> bool:
        """Whether it may be called without a token."""
        return bool(int(self.access.audience) == _PUBLIC)

    def __str__(self) -> str:
        return f"{descriptors.full_name(self.rpc)[1:]} ({self.http_method} {self.template.text})"


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """All routes, as one tree of segments for each verb."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._trees: dict[str, _Node] = {}
        shapes: dict[tuple[str, str], Route] = {}
        for route in self.routes:
            other = shapes.setdefault((route.http_method, route.template.shape), route)
            if other is not route:
                raise RuleError(f"{route} matches the same requests as {other}")
            node = self._trees.setdefault(route.template.verb, _Node())
            for segment in route.template.segments:
                node = node.children.setdefault(segment, _Node())
            node.routes[route.http_method] = route

    def find(self, http_method: str, path: str) -> tuple[Route, list[str]] | None:
        """The route of a request, and the raw segments of its path. `path` is as sent, still escaped."""
        for node, segments in self._matches(path):
            route = node.routes.get(http_method) or node.routes.get(ANY_METHOD)
            if route is not None:
                return route, segments
        return None

    def allowed(self, path: str) -> set[str]:
        """The methods that a path answers; empty for an unknown path."""
        return {name for node, _ in self._matches(path) for name in node.routes}

    def _matches(self, path: str) -> Iterator[tuple[_Node, list[str]]]:
        raw = path[1:].split("/")
        try:
            decoded = [templates.decode(segment) for segment in raw] if "%" in path else raw
        except templates.PathError:
            decoded = raw  # the route that takes such a segment as a value says what is wrong with it
        head, colon, verb = raw[-1].rpartition(":")
        if colon and verb and (tree := self._trees.get(verb)) is not None:
            last = decoded[-1][: -len(verb) - 1]
            found = list(_walk(tree, [*decoded[:-1], last], 0))
            if found:  # a verb that is known here is never part of a variable, whatever the method
                yield from ((node, [*raw[:-1], head]) for node in found)
                return
        if (tree := self._trees.get("")) is not None:
            for node in _walk(tree, decoded, 0):
                yield node, raw


def _walk(node: _Node, segments: list[str], index: int) -> Iterator[_Node]:
    """Nodes with routes that match, the most specific first."""
    if index == len(segments):
        if node.routes:
            yield node
    else:
        segment = segments[index]
        if segment not in (ONE, REST) and (child := node.children.get(segment)) is not None:
            yield from _walk(child, segments, index + 1)
        if segment and (child := node.children.get(ONE)) is not None:
            yield from _walk(child, segments, index + 1)
    if (child := node.children.get(REST)) is not None and child.routes:
        yield child


def build(registry: Registry, services: Iterable[str]) -> RouteTable:
    """Read every rule of the contracts. `services` are the processes that can be called."""
    known = frozenset(services)
    routes = []
    for service in descriptors.services(registry):
        for rpc in service.methods:
            rule = descriptors.option(registry, rpc.proto.options, "google.api.http")
            if rule is None:
                continue
            routes.append(_route(registry, rpc, rule, known))
            for additional in rule.additional_bindings:
                if additional.additional_bindings:
                    raise RuleError(f"{descriptors.full_name(rpc)[1:]}: additional_bindings cannot be nested")
                routes.append(_route(registry, rpc, additional, known))
    return RouteTable(routes)


def _route(registry: Registry, rpc: DescMethod, rule: Any, services: frozenset[str]) -> Route:
    http_method, text = _pattern(rule)
    where = f"{descriptors.full_name(rpc)[1:]} ({http_method or '?'} {text})"

    def refuse(why: str) -> RuleError:
        return RuleError(f"{where}: {why}")

    if not http_method:
        raise refuse("names no method and path")
    access = descriptors.option(registry, rpc.proto.options, "bazaruto.options.v1.access")
    if access is None or not int(access.audience):
        raise refuse("does not say who may call it")
    if int(access.audience) == _INTERNAL:
        raise refuse("is for internal services only and cannot have a route")
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
    idempotency = descriptors.option(registry, rpc.proto.options, "bazaruto.options.v1.idempotency")
    return Route(
        rpc,
        service,
        http_method,
        template,
        path_fields,
        body_field.name if body_field else rule.body,
        body_field,
        response,
        access,
        int(idempotency or 0),
    )


def _pattern(rule: Any) -> tuple[str, str]:
    if rule.pattern is None:
        return "", ""
    if rule.pattern.field in _PATTERNS:
        return rule.pattern.field.upper(), rule.pattern.value
    return rule.pattern.value.kind.upper(), rule.pattern.value.path


def _top_level(message: DescMessage, name: str, refuse: Any, what: str) -> DescField:
    found = find(message, name)
    if found is None:
        raise refuse(f"{what} names {name!r}, which is no field of {message.name}")
    return found


def message_of(one: DescField | None) -> DescMessage | None:
    """The message that a singular field holds, if it is one."""
    return one.value.message if one is not None and isinstance(one.value, DescFieldValueMessage) else None
