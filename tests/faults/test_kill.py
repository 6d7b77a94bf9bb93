"""`kill -9` of any one process during a hundred purchases: nothing acknowledged is lost, nobody is charged twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from libs.stack import PROCESSES, Process
from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]

PURCHASES = 100
BUYERS = 5
KILLED_AFTER = 20  # purchases
DOWN_SECONDS = 0.5


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform whose workers notice a dead colleague soon, so that the test need not wait for minutes."""
    quick: Any = {
        "BAZARUTO_JOBS__HEARTBEAT": "500ms",
        "BAZARUTO_JOBS__STALLED_AFTER": "2s",
        "BAZARUTO_JOBS__RETRY_WAIT": "200ms",
        "BAZARUTO_JOBS__MAX_ATTEMPTS": "12",
        "BAZARUTO_JOBS__RETRY_CAP": "5s",
    }
    with running_platform(**quick) as running:
        yield running


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_killed_process_loses_no_purchase_and_charges_nobody_twice(platform: Platform, process: Process) -> None:
    acknowledged: list[dict[str, Any]] = []
    buyers = [Buyer(httpx.Client(base_url=platform.url, timeout=15)) for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.sign_up()

    def purchase(index: int) -> None:
        acknowledged.append(buyers[index % BUYERS].issue(paymentMethod="pm_card_ok"))

    with ThreadPoolExecutor(BUYERS) as pool:
        running = [pool.submit(purchase, index) for index in range(PURCHASES)]
        _wait_until(lambda: len(acknowledged) >= KILLED_AFTER)
        platform.supervisor.kill(process.name)
        time.sleep(DOWN_SECONDS)
        platform.supervisor.spawn(process)
        for purchase_made in running:
            purchase_made.result()

    assert len({policy["policyId"] for policy in acknowledged}) == PURCHASES
    for policy in acknowledged:
        buyer = next(buyer for buyer in buyers if buyer.user_id == policy["userId"])
        buyer.in_force(policy)
    for buyer in buyers:
        buyer.http.close()
    _check_books(platform)


def _check_books(platform: Platform) -> None:
    """What must hold after any fault: provider, payments table and ledger agree, and no job is left behind."""
    charged_twice = """
        SELECT p.invoice_id FROM sandbox_charges c JOIN payments p ON p.id = c.payment_id
        WHERE c.state = 'succeeded' GROUP BY p.invoice_id HAVING count(*) > 1
    """
    assert platform.rows("payments", charged_twice) == []
    unpaid_charges = """
        SELECT c.payment_id FROM sandbox_charges c JOIN payments p ON p.id = c.payment_id
        WHERE c.state = 'succeeded' AND p.state <> 'succeeded'
    """
    assert platform.rows("payments", unpaid_charges) == []
    unbalanced = """
        SELECT journal_id FROM postings
        GROUP BY journal_id HAVING sum(CASE side WHEN 'debit' THEN amount ELSE -amount END) <> 0
    """
    assert platform.rows("payments", unbalanced) == []
    bank = "SELECT coalesce(sum(amount), 0) FROM postings WHERE account = '1010' AND side = 'debit'"
    paid = "SELECT coalesce(sum(amount), 0) FROM payments WHERE state = 'succeeded'"
    assert platform.rows("payments", bank) == platform.rows("payments", paid)
    assert platform.rows("policies", "SELECT quote_id FROM policies GROUP BY quote_id HAVING count(*) > 1") == []
    for service in ("policies", "payments", "quotes", "users"):
        failed = "SELECT task_name FROM procrastinate_jobs WHERE status = 'failed'"
        assert platform.rows(service, failed) == []


def _wait_until(reached: Any) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)
