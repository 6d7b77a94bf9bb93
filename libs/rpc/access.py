"""Who may call a method and whose records it shows, as its contract says: the option `access`, read and checked.

The gateway and the services read it here, so that neither admits whom the other refuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from libs.identity.authority import AMOUNTS

PUBLIC, AUTHENTICATED, ROLES, INTERNAL = 1, 2, 3, 4  # bazaruto.options.v1.Audience
LEVEL: Final = "underwriting_level"
AUTHORITIES: Final = (LEVEL, *AMOUNTS)


class AccessInvalid(ValueError):
    """The option `access` of a method contradicts itself; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a method, and whose records it shows them."""

    audience: int
    roles: frozenset[str] = frozenset()
    """One of these is needed, where the audience is `ROLES`."""
    sees: frozenset[str] = frozenset()
    """Roles that are shown everybody's records."""
    partner: bool = False
    """Whether the records that came by the caller's partner are shown."""
    authority: str = ""
    """The limit of the caller's authority that the method looks at."""
    services: frozenset[str] = frozenset()
    """The services that may call, where the audience is `INTERNAL`."""


def of_method(
    audience: int,
    *,
    roles: Iterable[str],
    sees: Iterable[str],
    partner: bool,
    authority: str,
    services: Iterable[str],
) -> Access:
    """What a method declares. `AccessInvalid` says what it cannot declare, or has to."""
    access = Access(audience, frozenset(roles), frozenset(sees), partner, authority, frozenset(services))
    if audience not in (PUBLIC, AUTHENTICATED, ROLES, INTERNAL):
        raise AccessInvalid(f"option access has the audience {audience}, which is not known here")
    if bool(access.roles) != (audience == ROLES):
        raise AccessInvalid("option access lists roles with AUDIENCE_ROLES, and only with it")
    if bool(access.services) != (audience == INTERNAL):
        raise AccessInvalid("option access lists services with AUDIENCE_INTERNAL, and only with it")
    if audience == PUBLIC and (access.sees or partner or authority):
        raise AccessInvalid("option access has sees, partner or authority, and the caller need not be known")
    if audience == ROLES and not access.sees <= access.roles:
        others = ", ".join(sorted(access.sees - access.roles))
        raise AccessInvalid(f"option access has sees for {others}, who may not call")
    if authority and authority not in AUTHORITIES:
        raise AccessInvalid(f"option access has the authority {authority}, which is none of {', '.join(AUTHORITIES)}")
    return access
