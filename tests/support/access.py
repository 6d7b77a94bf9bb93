"""What a contract cannot say about who may call: servers and the gateway refuse the same."""

from __future__ import annotations

from typing import Any, Final

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
