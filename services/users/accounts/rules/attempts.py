"""How long those wait who guess: for an account, wherever they come from; for an address, whomever they try.

Five failures are free. Then each makes the next attempt wait: a second, two, four, up to fifteen minutes; within that
time even the right password is not looked at. An account's failures are forgotten when its owner logs in, and all of
them an hour after the last one. An account that does not exist is treated as one that does.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from libs.errors import Exhausted

FREE = 5  # failures
FORGOTTEN = timedelta(hours=1)  # after the last failure
_FIRST, _LONGEST = 1.0, 900.0  # seconds to wait


class TooManyAttempts(Exhausted):
    """Too many attempts failed; wait before the next one."""

    reason = "TOO_MANY_ATTEMPTS"


def keys_of(email: str, client_address: str) -> tuple[str, str]:
    """What an attempt is counted under: the account, which is not told by its key, and the address."""
    digest = hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
    return f"account:{digest}", f"address:{_network_of(client_address)}"


def keys_of_registration(client_address: str) -> tuple[str]:
    """What a registration that fails is counted under: refusals tell which e-mail addresses have an account."""
    return (f"registration:{_network_of(client_address)}",)


def wait_after(failures: int, free: int = FREE) -> float:
    """Seconds to wait after so many failures."""
    over = failures - free
    return 0.0 if over < 0 else min(_FIRST * 2.0 ** min(over, 32), _LONGEST)


def _network_of(client_address: str) -> str:
    """The address; of IPv6 the network, because everybody has as many addresses there as they like."""
    try:
        parsed = ip_address(client_address)
    except ValueError:
        return client_address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False)) if parsed.ipv4_mapped is None else str(parsed.ipv4_mapped)
    return client_address
