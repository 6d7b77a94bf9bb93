"""The one table of processes: what each runs, what it needs and whom it calls.

`config.yaml` names the services and where they listen. `bazarutod up`, the tests, the manifests and the composition
file follow both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.config import defaults

SERVICES: Final = tuple(defaults().services)


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the platform: `python -m <module> <verb>`."""

    name: str
    module: str
    verb: str
    needs: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """The service or front that the process belongs to."""
        return self.module.removesuffix(".main").removeprefix("services.")


# Every service needs the public keys of users to check a token; it starts without them and is ready when it has them.
PROCESSES: Final = (
    Process("users", "services.users.main", "serve"),
    Process("quotes", "services.quotes.main", "serve", needs=("users",)),
    Process("policies", "services.policies.main", "serve", needs=("users", "quotes")),
    Process("payments", "services.payments.main", "serve", needs=("users",)),
    Process("users-worker", "services.users.main", "work", needs=("users",)),
    Process("quotes-worker", "services.quotes.main", "work", needs=("quotes",)),
    Process("policies-worker", "services.policies.main", "work", needs=("policies", "payments", "quotes")),
    Process("payments-worker", "services.payments.main", "work", needs=("payments", "policies", "quotes")),
    Process("gateway", "gateway.main", "serve", needs=SERVICES),
)

# Who calls whom over gRPC. The network policies and the figure in docs/architecture.md are held against it, and it
# is held against the channels that the mains open.
CALLS: Final = {
    "gateway": SERVICES,
    "users": ("quotes",),
    "quotes": ("users",),
    "policies": ("users", "quotes", "payments"),
    "payments": ("users",),
    "users-worker": ("policies",),
    "quotes-worker": (),
    "policies-worker": ("quotes", "payments"),
    "payments-worker": ("policies", "quotes"),
}
