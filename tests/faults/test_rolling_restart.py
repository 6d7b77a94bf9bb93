"""Every process is replaced under load, and nobody notices."""

from __future__ import annotations

import httpx
import pytest

from bazarutod.stack import PROCESSES
from tests.support.buyer import Buyer
from tests.support.platform import Platform
from tests.support.steady import PER_SECOND, steady_requests

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept connections", "new connections"])
def test_rolling_restart_of_every_process_fails_no_request(platform: Platform, keep_alive: bool) -> None:
    with httpx.Client(base_url=platform.url, timeout=15) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        policy = buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
        before = {process.name: platform.supervisor.pid(process.name) for process in PROCESSES}
        with steady_requests(platform.url, buyer, policy, keep_alive=keep_alive) as outcome:
            for process in PROCESSES:
                platform.supervisor.replace(process)
        assert not outcome.failed
        assert outcome.answered > PER_SECOND * len(PROCESSES) / 2
        after = {process.name: platform.supervisor.pid(process.name) for process in PROCESSES}
        assert all(after[name] != before[name] for name in before)
        buyer.in_force(buyer.issue(paymentMethod="pm_card_ok"))
