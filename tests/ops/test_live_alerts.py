"""Things break for real: the alert fires in Prometheus and arrives where people see it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
import psycopg
import pytest

from bazarutod import embedded
from libs.jobs import operating
from tests.ops.live import ask_in_vain, killed, stopped, wait_ready
from tests.ops.monitoring import Monitoring, wait_until
from tests.ops.sinks import Received
from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = [pytest.mark.xdist_group("ops"), pytest.mark.timeout(240)]

ARRIVES_WITHIN = 15.0  # seconds after it began to fire


def test_stopped_database_is_told_everywhere(platform: Platform, monitoring: Monitoring) -> None:
    port = platform.postgres.port
    platform.postgres.stop()
    try:
        arrived = _arrivals(monitoring, "DatabaseDown", ("slack", "mail", "page"))
    finally:
        embedded.start(platform.postgres.folder, throwaway=True, options=(f"port={port}",))

    assert monitoring.value('up{job="postgres"}') == 1, "the exporter answers on: up alone would not have told"
    assert arrived["slack"].content["channel"] == "#alerts"
    assert arrived["slack"].content["attachments"][0]["title"] == "Bazaruto Alert"
    assert "Database is down" in arrived["slack"].content["attachments"][0]["text"]
    mail = arrived["mail"].content
    assert (mail["from"], mail["to"]) == ("alerts@bazaruto.com", "ops@bazaruto.com")
    assert mail["subject"] == "Bazaruto Alert: DatabaseDown"
    assert "Alert: Database is down" in mail["text"]
    assert "Description: PostgreSQL database is not responding" in mail["text"]
    assert "Runbook: docs/runbooks/DatabaseDown.md" in mail["text"]
    monitoring.wait_over("DatabaseDown")
    wait_ready(platform)
    assert platform.supervisor.dead() == []


def test_errors_of_a_dead_service_are_told(platform: Platform, monitoring: Monitoring, buyer: Buyer) -> None:
    with killed(platform, "policies"):
        ask_in_vain(platform, buyer, times=5)
        monitoring.settle()
        ask_in_vain(platform, buyer, times=100)
        _arrivals(monitoring, "HighErrorRate", ("slack", "mail"))


def test_slow_route_is_told_with_its_name(platform: Platform, monitoring: Monitoring, buyer: Buyer) -> None:
    headers = {"authorization": f"Bearer {buyer.token}", "request-timeout": "4"}

    def read(_: int) -> int:
        return httpx.get(f"{platform.url}/v1/quotes?pageSize=7", headers=headers, timeout=20).status_code

    assert read(0) == 200
    monitoring.settle()
    with stopped(platform, "quotes"), ThreadPoolExecutor(10) as pool:
        assert set(pool.map(read, range(40))) == {504}

    alert = monitoring.wait_firing("SlowResponseTime", path="/v1/quotes", method="GET")

    assert alert["annotations"]["summary"] == "Slow response time"
    _arrivals(monitoring, "SlowResponseTime", ("slack",), path="/v1/quotes")


def test_eleven_wrong_passwords_are_told(platform: Platform, monitoring: Monitoring) -> None:
    before = monitoring.value("sum(bazaruto_auth_failed_logins_total)")
    wait_until(lambda: monitoring.value("sum(bazaruto_auth_failed_logins_total)") is not None, "there is no counter")
    account = {"email": "nobody@example.com", "password": "a wrong long password"}
    # From an address of its own: whoever fails so often waits, and with them all who come from there.
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), timeout=30) as http:
        for _ in range(11):
            assert http.post(f"{platform.url}/v1/auth/login", json=account).status_code in (401, 429)
    wait_until(
        lambda: (monitoring.value("sum(bazaruto_auth_failed_logins_total)") or 0) - (before or 0) >= 11,
        "the failures were not counted",
    )

    arrived = _arrivals(monitoring, "MultipleFailedLogins", ("slack", "mail"))

    assert "failed login attempts in the last 5 minutes" in arrived["mail"].content["text"]


def test_attacks_that_were_refused_are_told(platform: Platform, monitoring: Monitoring) -> None:
    wait_until(lambda: bool(monitoring.query("bazaruto_suspicious_requests_total")), "there is no counter")
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        for _ in range(101):
            assert http.get("/.git/config").status_code == 404

    alert = monitoring.wait_firing("SuspiciousActivity")

    assert alert["labels"]["severity"] == "warning"
    _arrivals(monitoring, "SuspiciousActivity", ("slack",))


def test_payment_whose_outcome_nobody_knows_is_told_until_the_provider_is_asked(
    platform: Platform, monitoring: Monitoring, buyer: Buyer
) -> None:
    invoice = buyer.invoice_of(buyer.issue())
    paid = buyer.pay(invoice, "pm_card_timeout")
    assert paid["state"] == "STATE_PROCESSING"
    with psycopg.connect(platform.postgres.url("bazaruto_payments"), autocommit=True) as connection:
        # As if the first look of the janitor had failed, and the payment had been there for twenty minutes.
        jobs = connection.execute(
            "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 h'"
            " WHERE task_name = 'payments.settle' AND status = 'todo' RETURNING id"
        ).fetchall()
        connection.execute("UPDATE payments SET created_at = created_at - interval '20 min' WHERE completed_at IS NULL")

        alert = monitoring.wait_firing("PaymentUnknownStuck", state="processing")
        assert "was begun 20m" in alert["annotations"]["description"]
        _arrivals(monitoring, "PaymentUnknownStuck", ("slack",))

        waiting = [job for (job,) in jobs]
        operating.cancel(connection, ids=waiting)
        operating.retry(connection, ids=waiting)
    buyer.wait(f"/v1/payments/{paid['paymentId']}", lambda payment: payment["state"] == "STATE_SUCCEEDED")
    monitoring.wait_over("PaymentUnknownStuck")
    late = 'slo:events_bad:rate5m{slo="payment_finality"}'
    wait_until(lambda: (monitoring.value(late) or 0) > 0, "an end after twenty minutes counted as good")


def test_dead_process_is_told_by_its_name(platform: Platform, monitoring: Monitoring) -> None:
    with killed(platform, "quotes-worker"):
        _arrivals(monitoring, "TargetDown", ("slack", "mail"), text="quotes-worker at", process="quotes-worker")
    monitoring.wait_over("TargetDown", process="quotes-worker")


def test_watchdog_always_fires_and_bothers_nobody(monitoring: Monitoring) -> None:
    monitoring.wait_firing("Watchdog")
    time.sleep(ARRIVES_WITHIN)
    assert [received for received in monitoring.inbox.received if "alerting itself works" in received] == []


def _arrivals(
    monitoring: Monitoring, name: str, to: tuple[str, ...], text: str = "", **labels: str
) -> dict[str, Received]:
    """What arrived of an alert at each of the places, within the promised time of its firing."""
    alert = monitoring.wait_firing(name, **labels)
    seen = time.time()
    since = datetime.fromisoformat(alert["activeAt"]).timestamp()
    looked_for = text or f"docs/runbooks/{name}.md"
    return {
        place: monitoring.inbox.first(place, name if place == "page" else looked_for, since, _left(seen))
        for place in to
    }


def _left(seen: float) -> float:
    return seen + ARRIVES_WITHIN - time.time()
