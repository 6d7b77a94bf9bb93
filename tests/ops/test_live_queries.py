"""The queries of the guide, the rules and the dashboards, asked of a Prometheus that watches a platform under load."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from bazarutod.backup.settings import Settings
from bazarutod.backup.textfile import report_success
from bazarutod.demo import RISK
from bazarutod.stack import PROCESSES
from tests.ops import alert_rules
from tests.ops.dashboards import expressions, metrics_of
from tests.ops.live import stopped
from tests.ops.monitoring import Monitoring, wait_until
from tests.ops.programs import run
from tests.support.buyer import Buyer
from tests.support.people import new_key
from tests.support.platform import Platform

pytestmark = [pytest.mark.xdist_group("ops"), pytest.mark.timeout(240)]

READS = 300


@pytest.fixture(scope="module")
def load(platform: Platform, monitoring: Monitoring) -> Iterator[Buyer]:
    """Purchases, refusals, errors of ours, and a backup that succeeded."""
    report_success(Settings(metrics_dir=monitoring.folder / "textfile"), "dump", 1, 1)
    with httpx.Client(base_url=platform.url, timeout=30) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        _make_everything_happen(platform, buyer)
        monitoring.settle()
        _make_everything_happen(platform, buyer)
        for _ in range(READS):
            buyer.call("GET", f"/v1/users/{buyer.user_id}")
        monitoring.settle()
        yield buyer


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("request rate", "rate(http_requests_total[5m])"),
        ("response time", "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m]))"),
        ("error rate", 'rate(http_requests_total{status=~"5.."}[5m]) > 0'),
        ("database connections", "bazaruto_db_connections_active"),
        ("job queue size", "bazaruto_jobs_pending"),
        (
            "cache hit rate",
            "rate(redis_keyspace_hits_total[5m])"
            " / (rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m]))",
        ),
    ],
)
@pytest.mark.usefixtures("load")
def test_query_of_the_guide_is_answered(monitoring: Monitoring, name: str, query: str) -> None:
    answer = run("promtool", "query", "instant", monitoring.prometheus, query)
    assert "=>" in answer, f"{name}: no answer"


@pytest.mark.usefixtures("load")
def test_every_metric_of_every_panel_exists(monitoring: Monitoring) -> None:
    _all_exist(monitoring, {name for expression in expressions() for name in metrics_of(expression.text)})


@pytest.mark.usefixtures("load")
def test_every_metric_of_every_rule_exists(monitoring: Monitoring) -> None:
    _all_exist(monitoring, {name for rule in alert_rules.rules() for name in metrics_of(rule["expr"])})


@pytest.mark.usefixtures("load")
def test_every_rule_and_every_panel_can_be_evaluated(monitoring: Monitoring) -> None:
    groups = httpx.get(f"{monitoring.prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"] == []
    for expression in expressions():
        monitoring.query(expression.text)


def test_every_target_answers(monitoring: Monitoring, platform: Platform) -> None:
    # At some time, because the machine may be busy; and of today's targets, because a standby may have come and gone.
    answered = "count(max_over_time(up[5m]) == 1 and on (job, instance) up)"
    expected = len(PROCESSES) + len(("postgres", "redis", "node", "prometheus", "alertmanager"))

    def diagnosis() -> str:
        ends = (platform.supervisor.tail(process.name) for process in platform.supervisor.dead())
        return "\n".join((monitoring.unanswered(), *ends))

    wait_until(lambda: monitoring.value(answered) == expected, diagnosis)


@pytest.mark.usefixtures("load")
def test_reads_of_one_user_mostly_hit_the_cache(monitoring: Monitoring) -> None:
    ratio = monitoring.value(
        'sum(bazaruto_cache_hits_total{cache="users"})'
        ' / (sum(bazaruto_cache_hits_total{cache="users"}) + sum(bazaruto_cache_misses_total{cache="users"}))'
    )
    assert ratio is not None
    assert ratio > 0.9


@pytest.mark.usefixtures("load")
def test_quotes_are_drawn_by_product_and_outcome(monitoring: Monitoring) -> None:
    (drawn,) = (expression for expression in expressions() if expression.panel == "Quotes by Product and Outcome")
    risen = {
        (sample["metric"]["product_type"], sample["metric"]["outcome"])
        for sample in monitoring.query(drawn.text)
        if float(sample["value"][1]) > 0
    }
    assert risen >= {("motor", "approved"), ("motor", "referred"), ("motor", "declined")}


@pytest.mark.usefixtures("load")
def test_payments_count_for_their_objective_and_their_age_is_told_by_the_worker(monitoring: Monitoring) -> None:
    assert (monitoring.value('slo:events_valid:rate5m{slo="payment_finality"}') or 0) > 0
    age = monitoring.query("bazaruto_payments_oldest_open_seconds")
    series = {(sample["metric"]["process"], sample["metric"]["state"]) for sample in age}
    assert series == {("payments-worker", "processing"), ("payments-worker", "requires_action")}


def _make_everything_happen(platform: Platform, buyer: Buyer) -> None:
    with stopped(platform, "quotes"):
        assert buyer.http.get("/v1/products", headers={"request-timeout": "0.5"}).status_code in (503, 504)
    for answers in ({"use": "taxi"}, {"claims_5_years": 5, "claim_free_years": 0}):  # referred, declined
        risk = {**RISK, "answers": {**RISK["answers"], **answers}}
        buyer.call("POST", "/v1/quotes", {"risk": risk}, key=new_key())
    policy = buyer.issue()
    buyer.pay(buyer.invoice_of(policy))
    buyer.in_force(policy)
    buyer.call("POST", f"/v1/policies/{policy['policyId']}:cancel", {"reason": "cooling_off"}, key=new_key())
    buyer.http.post("/v1/auth/login", json={"email": "nobody@example.com", "password": "a wrong long password"})


def _all_exist(monitoring: Monitoring, metric_names: set[str]) -> None:
    deadline = time.monotonic() + 30
    while missing := metric_names - monitoring.names():
        assert time.monotonic() < deadline, f"nobody tells {sorted(missing)}"
        time.sleep(1)
