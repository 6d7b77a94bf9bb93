"""`kill -9` of any one process during forty purchases: nothing acknowledged is lost, nobody is charged twice.

The same of each process that has a part in cancellations: everybody is paid back once.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bazarutod.stack import PROCESSES, SERVICES, Process
from libs import ids
from tests.support.buyer import Buyer
from tests.support.platform import Platform
from tests.support.waiting import until

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(300)]

PURCHASES = 40
BUYERS = 5
KILLED_AFTER = 10  # purchases
CANCELLED = 12
PAYING_BACK = ("policies", "policies-worker", "payments", "payments-worker")
DOWN_SECONDS = 0.5


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_killed_process_loses_no_purchase_and_charges_nobody_twice(
    platform: Platform, admin: Buyer, process: Process
) -> None:
    acknowledged: list[dict[str, Any]] = []
    buyers = [Buyer(httpx.Client(base_url=platform.url, timeout=30)) for _ in range(BUYERS)]
    for buyer in buyers:
        buyer.sign_up()

    def purchase(index: int) -> None:
        acknowledged.append(buyers[index % BUYERS].issue(paymentMethod="pm_card_ok"))

    with ThreadPoolExecutor(BUYERS) as pool:
        running = [pool.submit(purchase, index) for index in range(PURCHASES)]
        until(lambda: len(acknowledged) >= KILLED_AFTER)
        platform.supervisor.kill(process.name)
        time.sleep(DOWN_SECONDS)
        platform.supervisor.spawn(process)
        for purchase_made in running:
            purchase_made.result()

    assert len({policy["policyId"] for policy in acknowledged}) == PURCHASES
    for policy in acknowledged:
        buyer = next(buyer for buyer in buyers if buyer.user_id == policy["userId"])
        buyer.in_force(policy)
    _check_books(platform, admin)
    for buyer in buyers:
        buyer.http.close()


def test_killed_processes_lose_no_cancellation_and_pay_nobody_back_twice(platform: Platform, admin: Buyer) -> None:
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        issued = [buyer.issue(paymentMethod="pm_card_ok")["policyId"] for _ in range(CANCELLED)]
        for policy_id in issued:
            buyer.in_force({"policyId": policy_id})
        processes = {process.name: process for process in PROCESSES}
        cancelled: list[str] = []

        def cancel(policy_id: str) -> None:
            body = {"reason": "cooling_off"}
            buyer.call("POST", f"/v1/policies/{policy_id}:cancel", body, key=secrets.token_hex(16))
            cancelled.append(policy_id)

        def wait_for(count: int) -> None:
            until(lambda: len(cancelled) >= count)

        with ThreadPoolExecutor(1) as pool:
            running = [pool.submit(cancel, policy_id) for policy_id in issued]
            for number, name in enumerate(PAYING_BACK, 1):
                wait_for(number * CANCELLED // (len(PAYING_BACK) + 1))
                platform.supervisor.kill(name)
                platform.supervisor.spawn(processes[name])
            for cancellation in running:
                cancellation.result()
        owner = ids.decode("usr", buyer.user_id)

        def paid_back() -> list[tuple[object, ...]]:
            return platform.rows(
                "payments",
                f"""
                SELECT p.account_id, p.amount, count(s.refund_id), sum(s.amount) FROM payments AS p
                JOIN invoices AS i ON i.id = p.invoice_id
                LEFT JOIN sandbox_refunds AS s ON s.payment_id = p.id AND s.status = 'refunded'
                WHERE i.user_id = '{owner}' AND p.status = 'succeeded' GROUP BY p.id
                """,
            )

        until(lambda: sum(int(str(count)) for _, _, count, _ in paid_back()) >= CANCELLED, seconds=60)
        assert [(count, back) for _, _, count, back in paid_back()] == [(1, amount) for _, amount, _, _ in paid_back()]
        for policy_id in issued:
            assert buyer.call("GET", f"/v1/policies/{policy_id}")["state"] == "STATE_CANCELLED"
    _check_books(platform, admin)


@pytest.fixture(scope="module")
def admin(platform: Platform) -> Iterator[Buyer]:
    """Somebody who may read the ledger."""
    account = {"email": "admin@example.com", "full_name": "Admin", "password": "a long enough secret"}
    subprocess.run(
        [sys.executable, "-m", "services.users.main", "create-admin"],
        input=json.dumps(account),
        env=platform.environment,
        text=True,
        check=True,
        timeout=60,
    )
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        person = Buyer(http)
        log_in = {"email": account["email"], "password": account["password"]}
        person.token = person.call("POST", "/v1/auth/login", log_in)["accessToken"]
        yield person


def _check_books(platform: Platform, admin: Buyer) -> None:
    """What must hold after any fault: provider, payments and ledger agree, and nothing is left behind."""
    charged = platform.rows("payments", "SELECT payment_id, amount FROM sandbox_charges WHERE status = 'charged'")
    paid = platform.rows("payments", "SELECT id, amount FROM payments WHERE status = 'succeeded'")
    assert sorted(charged) == sorted(paid)
    twice = """
        SELECT invoice_id FROM sandbox_charges JOIN payments ON payments.id = payment_id
        WHERE sandbox_charges.status = 'charged' GROUP BY invoice_id HAVING count(*) > 1
    """
    assert platform.rows("payments", twice) == []
    booked = """
        SELECT coalesce(sum(amount), 0) FROM postings WHERE account_code = '1010' AND side = 'debit'
    """
    assert platform.rows("payments", booked) == [(sum(int(str(amount)) for _, amount in paid),)]
    balance = admin.call("GET", "/v1/ledger/trialBalance")
    assert balance["accounts"]
    assert all(difference["units"] == "0" and difference["nanos"] == 0 for difference in balance["differences"])
    issued = "SELECT quote_id FROM policies GROUP BY quote_id HAVING count(*) > 1"
    assert platform.rows("policies", issued) == []
    for service in SERVICES:
        failed = "SELECT task_name FROM procrastinate_jobs WHERE status = 'failed'"
        assert platform.rows(service, failed) == []
