"""Figure 1: the read through gateway and service against the monolith, everything on, both on one core."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from tests.performance import ground, load
from tests.performance.contenders import monolith, monolith_orm
from tests.performance.load import CannotMeasure, Load
from tests.performance.rounds import Effort, take_turns
from tests.performance.table import Figure, Target
from tests.support.servers import free_address

# The target is against the fastest form; the usual one shows how much of the distance is the form.
_FORMS = {monolith.__name__: "FastAPI, fastest form", monolith_orm.__name__: "FastAPI, usual form"}


def measure(effort: Effort) -> list[Figure]:
    """Requests per second, and the tail of their latencies."""
    load.require("wrk")
    with ExitStack() as running:
        shared = running.enter_context(ground.prepared())
        platform = running.enter_context(ground.running_platform(shared))
        urls = [platform.url]
        for module in _FORMS:
            address = free_address()
            url = f"http://{address}{shared.path}"
            name = module.rpartition(".")[2]
            running.enter_context(ground.running_server(shared, name, monolith.command(address, module), url))
            urls.append(url)
        answers = [ground.read_policy(url, shared) for url in urls]
        if any(answer != answers[0] for answer in answers):
            raise CannotMeasure(f"the contenders answer differently: {answers}")
        own, fastest, usual = take_turns(effort, [partial(load.http, url, shared.authorization) for url in urls])
    fastest_form, usual_form = _FORMS.values()
    return [
        _throughput(own, fastest, fastest_form, Target(1.5, at_least=True)),
        _tail(own, fastest, fastest_form, Target(0.5)),
        _throughput(own, usual, usual_form),
        _tail(own, usual, usual_form),
    ]


def _throughput(own: Sequence[Load], other: Sequence[Load], form: str, target: Target | None = None) -> Figure:
    rates, others = [burst.per_second for burst in own], [burst.per_second for burst in other]
    return Figure("read through gateway and service", "requests/s", rates, others, form, target)


def _tail(own: Sequence[Load], other: Sequence[Load], form: str, target: Target | None = None) -> Figure:
    return Figure("p99 of that read", "ms", [burst.p99 for burst in own], [burst.p99 for burst in other], form, target)
