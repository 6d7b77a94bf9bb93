"""Requests that look like an attack, counted for the alert and named in the log.

Only refused requests are looked at, so that the ones that succeed pay nothing; what succeeded was harmless by then,
as it was read by the contract's rules. The rules look at the address and the headers, never at a body: people may
write what they like about themselves. The list stands in `docs/security.md`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import unquote

import structlog
from prometheus_client import Counter

from gateway.http.exchange import Request
from gateway.http.problems import Problem

suspicious_requests = Counter("bazaruto_suspicious_requests_total", "Refused requests that look like an attack")

log = structlog.get_logger("gateway.suspicion")

_LOOKED_AT = 2048  # characters of an address
_TRAVERSAL = re.compile(r"(?:^|[/\\=])\.\.(?:[/\\;]|$)|/etc/(?:passwd|shadow)|\x00|%00|\\windows\\", re.IGNORECASE)
_INJECTION = re.compile(
    r"\bunion\b[\s(/*+]+(?:all\b[\s(/*+]+)?select\b"
    r"|['\"`)]\s*(?:or|and)\b\s*[\w'\"(]+\s*(?:=|<|>|like\b)"
    r"|;\s*(?:(?:drop|alter|create)\s+(?:table|database|schema|view|user|role|function)"
    r"|delete\s+from|insert\s+into|update\s+\w+\s+set|select)\b"
    r"|\b(?:pg_sleep|sleep|benchmark|waitfor\s+delay|xp_cmdshell|load_file)\b\s*[(']"
    r"|['\"]\s*(?:--|#|/\*)"
    r"|<\s*script\b|javascript:|\bon(?:error|load)\s*=|\$\{\s*jndi:|\{\{.{0,100}?\}\}",
    re.IGNORECASE,
)
_PROBE = re.compile(
    r"/\.(?:env|git|svn|hg|aws|ssh|htaccess|htpasswd|ds_store)\b"
    r"|/(?:wp-(?:admin|login|content|includes)|phpmyadmin|cgi-bin|actuator|server-status|solr|jenkins|boaform)\b"
    r"|\.(?:php\d?|aspx?|jsp|cgi|bak|sql)(?:$|[/?;])",
    re.IGNORECASE,
)
# Headers by which a caller tries to be somebody else, or to reach another path than the one that is checked.
_IDENTITY = frozenset(
    {
        b"x-user-id",
        b"x-user",
        b"x-user-roles",
        b"x-roles",
        b"x-tenant",
        b"x-tenant-id",
        b"x-forwarded-by",
        b"x-on-behalf-of",
        b"x-authenticated-user",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-http-method-override",
    }
)
_METADATA = b"grpc-metadata-"
_SIGNED_BY = frozenset({"EdDSA"})
_KEY_OF_THE_CALLER = ("jku", "jwk", "x5u", "x5c")


def look(request: Request, problem: Problem, trace_id: str, client: str) -> None:
    """Count a refused request once, if it looks like an attack by any of the rules."""
    rule = broken_rule(request, problem)
    if rule:
        suspicious_requests.inc()
        # Neither address nor headers are told: they may hold what somebody else should not read.
        log.warning("suspicious request", rule=rule, status=problem.status, client_address=client, trace_id=trace_id)


def broken_rule(request: Request, problem: Problem) -> str:
    """The name of the first rule that a refused request breaks; empty when it is only wrong."""
    address = f"{request.path}?{request.query}"[:_LOOKED_AT]
    plain = unquote(unquote(address.replace("+", " ")))  # twice, because attackers encode twice
    if _TRAVERSAL.search(plain):
        return "path_traversal"
    if _INJECTION.search(plain):
        return "injection"
    if problem.status == 404 and _PROBE.search(plain):
        return "probe"
    if any(name in _IDENTITY or name.startswith(_METADATA) for name, _ in request.raw):
        return "forged_identity"
    if problem.status == 401 and _is_forged(request.get("authorization")):
        return "forged_token"
    if problem.reason == "TOO_MANY_ATTEMPTS":
        return "guessing"
    return ""


def _is_forged(authorization: str) -> bool:
    """Whether a refused token claims what no token of this platform says. An expired one claims nothing wrong."""
    parts = authorization.removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return False
    header = _decoded(parts[0])
    if not isinstance(header, dict):
        return False
    if header.get("alg") not in _SIGNED_BY or not parts[2]:
        return True
    key_id = str(header.get("kid", ""))
    return any(name in header for name in _KEY_OF_THE_CALLER) or not re.fullmatch(r"[\w-]{0,64}", key_id)


def _decoded(part: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
