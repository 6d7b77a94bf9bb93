"""Which refused requests look like an attack, and which are only wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.http import problems, suspicion
from gateway.http.exchange import Request
from gateway.http.problems import Problem

NOT_FOUND = problems.unknown_path()
INVALID = problems.invalid([("page_size", "is no number")])
UNAUTHENTICATED = problems.made(401, "UNAUTHENTICATED", "TOKEN_INVALID", "There is no valid access token.")


def request(path: str, *headers: tuple[str, str], query: str = "") -> Request:
    """A request as it was sent."""
    scope: dict[str, Any] = {
        "method": "GET",
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "scheme": "http",
        "http_version": "1.1",
        "client": ("203.0.113.9", 1),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    return Request(scope)


def token(header: dict[str, Any] | str, signature: str = "c2ln") -> tuple[str, str]:
    """The header of a request with a token of that header."""
    text = header if isinstance(header, str) else json.dumps(header)
    parts = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (text, '{"sub": "x"}')]
    return "authorization", f"Bearer {'.'.join(parts)}.{signature}"


@pytest.mark.parametrize(
    ("path", "query", "rule"),
    [
        ("/v1/users/..%2f..%2fetc%2fpasswd", "", "path_traversal"),
        ("/v1/users/%252e%252e%252fadmin", "", "path_traversal"),
        ("/../../etc/shadow", "", "path_traversal"),
        ("/v1/users/a%00b", "", "path_traversal"),
        ("/v1/users", "file=..%5c..%5cwindows", "path_traversal"),
        ("/v1/users/1%27%20OR%201=1--", "", "injection"),
        ("/v1/policies", "productCode=x%27+union+select+1,2", "injection"),
        ("/v1/policies", "productCode=1;drop%20table%20users", "injection"),
        ("/v1/policies", "pageToken=%27%3Bselect%20pg_sleep(5)--", "injection"),
        ("/v1/policies", "q=%3Cscript%3Ealert(1)%3C/script%3E", "injection"),
        ("/v1/policies", "q=${jndi:ldap://x}", "injection"),
        ("/.env", "", "probe"),
        ("/.git/config", "", "probe"),
        ("/wp-login.php", "", "probe"),
        ("/index.php", "", "probe"),
        ("/cgi-bin/x", "", "probe"),
    ],
)
def test_attack_in_the_address_is_named(path: str, query: str, rule: str) -> None:
    assert suspicion.broken_rule(request(path, query=query), NOT_FOUND) == rule


@pytest.mark.parametrize(
    "header",
    [
        "x-user-id",
        "x-tenant",
        "x-roles",
        "x-forwarded-by",
        "x-original-url",
        "x-http-method-override",
        "grpc-metadata-x",
    ],
)
def test_forged_identity_is_named(header: str) -> None:
    assert suspicion.broken_rule(request("/v1/users", (header, "1")), INVALID) == "forged_identity"


@pytest.mark.parametrize(
    "sent",
    [
        token({"alg": "none"}, signature=""),
        token({"alg": "none"}),
        token({"alg": "HS256", "kid": "k"}),
        token({"alg": "EdDSA", "kid": "../../dev/null"}),
        token({"alg": "EdDSA", "kid": "1", "jku": "https://evil.example/keys"}),
        token({"alg": "EdDSA", "jwk": {}}),
        token({"alg": "EdDSA"}, signature=""),
    ],
)
def test_forged_token_is_named(sent: tuple[str, str]) -> None:
    assert suspicion.broken_rule(request("/v1/users/me", sent), UNAUTHENTICATED) == "forged_token"


def test_who_goes_on_guessing_is_named() -> None:
    guessing = problems.made(429, "RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS", "Wait.")
    assert suspicion.broken_rule(request("/v1/auth/login"), guessing) == "guessing"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (request("/v1/users/usr_01m86535y1eaws2ywvkrpm6m62"), NOT_FOUND),
        (request("/favicon.ico"), NOT_FOUND),
        (request("/v1/products/motor.v2"), NOT_FOUND),
        (request("/v1/users", query="pageSize=x"), INVALID),
        (request("/v1/users", query="fullName=O%27Brien+and+Sons"), INVALID),
        (request("/v1/users", query="q=union+of+select+drivers"), INVALID),
        (request("/v1/policies/x", query="q=Sleep+well;+drop+in"), INVALID),
        (request("/v1/users/me"), UNAUTHENTICATED),
        (request("/v1/users/me", ("authorization", "Bearer nonsense")), UNAUTHENTICATED),
        (request("/v1/users/me", ("authorization", "Basic dXNlcjpwYXNz")), UNAUTHENTICATED),
        (request("/v1/users/me", token({"alg": "EdDSA", "kid": "20261124080000"})), UNAUTHENTICATED),  # expired
        (request("/v1/users/me", token("not json")), UNAUTHENTICATED),
        (request("/v1/users", ("x-request-id", "1"), ("x-forwarded-for", "1.2.3.4")), INVALID),
        (request("/v1/quotes"), problems.made(429, "RESOURCE_EXHAUSTED", "OVERLOADED", "Busy.")),
    ],
)
def test_what_is_only_wrong_is_not_counted(sent: Request, problem: Problem) -> None:
    assert suspicion.broken_rule(sent, problem) == ""


def test_request_is_counted_once_and_logged_without_what_it_holds() -> None:
    before = REGISTRY.get_sample_value("bazaruto_suspicious_requests_total")
    assert before is not None  # there from the start, so that the first attack is an increase
    sent = request("/v1/users/..%2fcanary", ("x-user-id", "canary"), query="q=%27%20or%201=1--")
    with capture_logs() as lines:
        suspicion.look(sent, NOT_FOUND, "a" * 32, "203.0.113.9")
        suspicion.look(request("/nothing"), NOT_FOUND, "a" * 32, "203.0.113.9")
    assert REGISTRY.get_sample_value("bazaruto_suspicious_requests_total") == before + 1
    [line] = lines
    assert (line["event"], line["log_level"], line["rule"]) == ("suspicious request", "warning", "path_traversal")
    assert line["client_address"] == "203.0.113.9"
    assert "canary" not in str(lines)
