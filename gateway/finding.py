"""Finding: what a request is for. A page of the gateway, a route of the contracts, or nothing."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.contracts.routes import ANY_METHOD, Route, RouteTable
from gateway.endpoints import Endpoint
from gateway.http import problems
from gateway.http.exchange import NO_STORE, Page, Request, Response
from gateway.http.observing import UNMATCHED


class Finder:
    """Knows every page and every route."""

    def __init__(self, pages: Mapping[str, Page], table: RouteTable, endpoints: Mapping[Route, Endpoint]) -> None:
        self._pages = pages
        self._table = table
        self._endpoints = endpoints

    def find(self, request: Request) -> tuple[str, Page | None, Endpoint | None, list[str]]:
        """The name of what answers, for metrics; the page or the endpoint; the raw segments of the endpoint's path.

        With neither page nor endpoint the answer is `other`.
        """
        method, path = request.method, request.path
        page = self._pages.get(path)
        if page is not None:
            return path, page if method in ("GET", "HEAD") else None, None, []
        match = self._table.find(method, path)
        if match is None and method == "HEAD":
            match = self._table.find("GET", path)
        if match is None:
            return UNMATCHED, None, None, []
        route, segments = match
        return route.name, None, self._endpoints[route], segments

    def other(self, request: Request) -> Response:
        """The answer to OPTIONS. Any other method, or a path that nothing answers, raises the `Problem`."""
        allowed = {"GET"} if request.path in self._pages else self._table.allowed(request.path)
        if not allowed:
            raise problems.unknown_path()
        names = allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())
        allow = ", ".join(sorted(names - {ANY_METHOD}))
        if request.method == "OPTIONS":
            return Response(204, headers=[(b"allow", allow.encode()), NO_STORE])
        raise problems.method_not_allowed(allow)
