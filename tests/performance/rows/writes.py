"""What idempotency costs a write: a profile that is changed with a key, against the same without one."""

from __future__ import annotations

from tests.performance.bench import Bench, Site
from tests.performance.figures import Figure, Target
from tests.performance.load import cpu, rates
from tests.performance.readers import Reader, closed
from tests.performance.rounds import take_turns

NAME = "CPU of a change with a key"
_WITHOUT = "without a key"
_LOCALES = ("en", "pt-MZ")  # in turn, so that every request changes something


def measure(bench: Bench) -> list[Figure]:
    """CPU time of all processes for each change."""
    for tree in bench.trees:
        bench.site(tree).platform.place("gateway", "users")
    readers = {tree.name: _reader(bench, bench.site(tree), keyed=True) for tree in bench.trees}
    readers[_WITHOUT] = _reader(bench, bench.site(bench.head), keyed=False)
    bursts = take_turns(bench.effort, {name: closed(bench, reader) for name, reader in readers.items()})
    own, without = bursts["HEAD"], bursts[_WITHOUT]
    return [
        Figure(NAME, "µs", cpu(own), cpu(without), _WITHOUT, Target(1.2), rates=rates(own), other_rates=rates(without)),
        bench.cpu_versus_base(NAME, bursts),
    ]


def _reader(bench: Bench, site: Site, *, keyed: bool) -> Reader:
    requests = [
        {
            "method": "PATCH",
            "path": "/v1/users/me",
            "body": {"locale": locale},
            "token": customer.token,
            "keyed": keyed,
        }
        for locale in _LOCALES
        for customer in site.callers.customers
    ]
    return Reader(site.platform.gateway, bench.generator.file(requests), site.platform.processes)
