"""A page of metrics on which every series of a service is: `python -m …contenders.every_series ADDRESS`.

Every method of payments, the service with the most of them, has been answered with every code that the contracts know,
and so has what it calls; every job has had every outcome. A real process comes to that in months, if ever.
"""

from __future__ import annotations

import gc
import signal
import sys

from tests.performance.contenders.platform_code import QUEUES, methods, metrics, pages, payments_contracts

_CODES = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED", "FAILED_PRECONDITION",
          "ABORTED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL")  # fmt: skip
_CALLED = "bazaruto.users.v1.AuthService/ListPublicKeys"


def main(address: str) -> None:
    """Show the page until SIGTERM."""
    for contract in payments_contracts():
        for service in contract.DESCRIPTOR.services_by_name.values():
            for method in methods.of_service(service).values():
                for code in _CODES:
                    metrics.rpc_server_duration.labels(method.full_name, code).observe(0.01)
    for code in _CODES:
        metrics.rpc_client_duration.labels(_CALLED, code).observe(0.01)
    for verb in ("SELECT", "INSERT", "UPDATE", "DELETE", "OTHER"):
        metrics.db_operation_duration.labels(verb).observe(0.001)
    for queue in QUEUES:
        for outcome in ("succeeded", "failed"):
            metrics.job_duration.labels(queue, outcome).observe(0.1)
    gc.collect()
    gc.freeze()  # as a server does
    pages.serve(address)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(sys.argv[1])
