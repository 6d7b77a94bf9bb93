"""The trial balance of books with a million postings, as of a day and as of a moment of booking, over HTTP."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import httpx

from tests.performance import callers
from tests.performance.bench import Bench
from tests.performance.contenders import CONTENDERS
from tests.performance.figures import Figure, Target
from tests.performance.load import CannotMeasure
from tests.performance.readers import settings_of
from tests.performance.rounds import take_turns

_MODULE = f"{CONTENDERS}.books"
_SETUP_SECONDS = 900.0
_OF_A_POLICY = 9  # postings
_TAIL = 3_000  # policies whose journals are not summed yet
_PATH = "/v1/ledger/trialBalance"
_ASKED: dict[str, dict[str, str | int]] = {
    "of all": {},
    "as of a day": {"asOfDate.year": 2025, "asOfDate.month": 6, "asOfDate.day": 30},
    "as of a moment": {"bookedUntilTime": "2025-06-30T15:00:00Z"},
    "by coverage": {"dimension": "DIMENSION_COVERAGE"},
}


def measure(bench: Bench) -> list[Figure]:
    """Seconds until a trial balance is there, with some minutes of journals that are not summed by day yet."""
    platform = bench.site(bench.head).platform
    platform.place()
    settings, url = settings_of(platform, "payments-worker"), f"{platform.server_url}/bazaruto_payments"
    run = partial(bench.head.run, bench.head.python, "-m", _MODULE, seconds=_SETUP_SECONDS, settings=settings)
    last = bench.effort.postings // _OF_A_POLICY + 1
    bench.tell(f"writing {last * _OF_A_POLICY:,} postings")
    run("fill", url, "1", str(last), str(last))
    bench.tell("summing them by day")
    run("sum", url)
    run("fill", url, str(last + 1), str(last + _TAIL), str(last))
    token = callers.administrator(platform)
    with httpx.Client(base_url=platform.url, headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
        asked = {name: partial(_seconds, http, parameters) for name, parameters in _ASKED.items()}
        rounds = take_turns(bench.effort, asked)
    return [Figure(f"trial balance {name}", "s", rounds[name], target=Target(1)) for name in _ASKED]


def _seconds(http: httpx.Client, parameters: dict[str, Any], _: float) -> float:
    started = time.perf_counter()
    answer = http.get(_PATH, params=parameters)
    seconds = time.perf_counter() - started
    if answer.is_error or not answer.json().get("accounts"):
        raise CannotMeasure(f"{_PATH} {parameters}: {answer.status_code} {answer.text}")
    return seconds
