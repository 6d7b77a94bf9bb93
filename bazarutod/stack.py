"""The one table of processes: what each is, where it listens and what it needs.

`bazarutod up`, the tests, the manifests and the composition file follow it. Ports of the embedded default are
here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICES: Final = ("users", "quotes", "policies", "payments")

# gRPC, metrics of the server, metrics of the worker. All below 32768, where Linux begins to give ports to clients:
# a port of ours in that range would now and then be taken when the platform starts.
DEFAULT_SERVICES: Final = {
    name: {
        "listen": f"127.0.0.1:{9001 + index}",
        "metrics": f"127.0.0.1:{9101 + index}",
        "worker_metrics": f"127.0.0.1:{9111 + index}",
    }
    for index, name in enumerate(SERVICES)
}


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
    Process("payments-worker", "services.payments.main", "work", needs=("payments", "policies")),
    Process("gateway", "gateway.main", "serve", needs=SERVICES),
)

# Who calls whom over gRPC. The network policies and the figure in docs/architecture.md are held against it, and it
# is held against the channels that the mains open.
CALLS: Final = {
    "gateway": SERVICES,
    "users": (),
    "quotes": ("users",),
    "policies": ("users", "quotes"),
    "payments": ("users",),
    "users-worker": (),
    "quotes-worker": (),
    "policies-worker": ("quotes", "payments"),
    "payments-worker": ("policies",),
}
