"""The route table: every route of the contracts, found by method and path.

The most specific template wins, whatever the order of the contracts: first a template with the verb of the
path, then segment by segment a literal before `*` before `**`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from protobuf import DescField, DescMethod

from gateway.contracts import descriptors, options, templates
from gateway.contracts.descriptors import RuleError
from gateway.contracts.fields import Field
from gateway.contracts.options import Options
from gateway.contracts.templates import ONE, REST, Template
from libs.rpc import access

ANY_METHOD = "*"


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
    options: Options

    @property
    def name(self) -> str:
        """The route as metrics, spans and logs write it: `/v1/books/{book_id}`."""
        return self.template.text

    @property
    def streaming(self) -> bool:
        """Whether the method answers with a stream."""
        return self.rpc.method_kind == "server_streaming"

    @property
    def needs_key(self) -> bool:
        """Whether it cannot be called without an idempotency key."""
        return self.options.idempotency in (options.KEY_REQUIRED, options.KEY_FORWARDED)

    @property
    def may_have_key(self) -> bool:
        """Whether an idempotency key may be given, and makes it safe to repeat."""
        return self.options.idempotency == options.KEY_OPTIONAL

    @property
    def is_repeatable(self) -> bool:
        """Whether every call is safe to repeat: it changes nothing, or has a key."""
        return self.http_method == "GET" or self.needs_key or self.options.idempotency == options.NO_EFFECT

    @property
    def is_public(self) -> bool:
        """Whether it may be called without a token."""
        return self.options.access.audience == access.PUBLIC

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
            matches = list(_walk(tree, [*decoded[:-1], last], 0))
            if matches:  # a verb that is known here is never part of a variable, whatever the method
                yield from ((node, [*raw[:-1], head]) for node in matches)
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
