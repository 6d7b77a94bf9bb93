"""The running platform as its operators see it: logs, metrics and profiles of every process."""

from __future__ import annotations

import json
import re
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from bazarutod.demo import RISK
from bazarutod.stack import PROCESSES, SERVICES
from libs.version import VERSION
from tests.e2e.operations import Operated, signal_all
from tests.support.admins import admin_headers
from tests.support.buyer import Buyer
from tests.support.waiting import until

pytestmark = [pytest.mark.xdist_group("operations"), pytest.mark.timeout(300)]

NAMES = [process.name for process in PROCESSES]
PASSWORD = "a long enough secret"


@pytest.fixture
def buyer(operated: Operated) -> Iterator[Buyer]:
    with httpx.Client(base_url=operated.platform.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        yield customer


@pytest.fixture(scope="module")
def admin(operated: Operated) -> dict[str, str]:
    """The headers of an administrator."""
    with httpx.Client(base_url=operated.platform.url, timeout=30) as http:
        return admin_headers(operated.platform.environment, http)


def loggers(operated: Operated, trace_id: str) -> set[str]:
    """The processes that have logged something of a trace."""
    return {line["component"] for line in operated.lines() if line.get("trace_id") == trace_id}


def test_every_line_of_every_process_is_json_with_the_fields_of_the_guide(operated: Operated, buyer: Buyer) -> None:
    policy = buyer.issue()
    buyer.pay(buyer.invoice_of(policy))
    buyer.in_force(policy)
    until(lambda: {"gateway", "policies", "payments", "policies-worker"} <= loggers(operated, buyer.trace_id))
    lines = operated.lines()
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
        assert line["level"] in ("debug", "info", "warning", "error", "critical")
        assert line["message"]
        assert (line["service"], line["version"]) == ("bazaruto", VERSION)
        assert isinstance(line.get("response_time", 0), int | float)
        if "trace_id" in line:
            assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
            assert re.fullmatch("[0-9a-f]{16}", line.get("span_id", "0" * 16))
    assert {line["component"] for line in lines} >= {*SERVICES, "gateway"}
    of_purchase = [line for line in lines if line.get("trace_id") == buyer.trace_id]
    assert {line["component"] for line in of_purchase} >= {"gateway", "policies", "payments", "policies-worker"}
    spans = Counter((line["component"], line["span_id"]) for line in of_purchase if "method" in line)
    assert len(spans) > 5
    requests = [line for line in of_purchase if line["message"] == "request" and line["path"] == "/v1/policies"]
    assert {line["user_id"] for line in requests} == {buyer.user_id}
    assert all(line["response_time"] > 0 for line in requests)


def test_user_events_show_a_masked_address_and_refusals_are_found_by_grep(operated: Operated) -> None:
    mark = operated.mark()
    email = f"{secrets.token_hex(8)}@example.com"
    with httpx.Client(base_url=operated.platform.url, timeout=30) as http:
        account = {"email": email, "password": PASSWORD, "fullName": "Test Person"}
        assert http.post("/v1/users", json=account).status_code == 200
        assert http.post("/v1/auth/login", json={"email": email, "password": "not the password"}).status_code == 401
    messages = ("User created successfully", "authentication failed")

    def events() -> list[dict[str, Any]]:
        return [line for line in operated.lines(after=mark) if line["message"] in messages]

    until(lambda: len(events()) >= 2)
    created, refused = sorted(events(), key=lambda line: messages.index(line["message"]))
    assert created["email"] == refused["email"] == f"{email[0]}***@example.com"
    assert created["user_id"] == refused["user_id"]
    assert email.encode() not in operated.log_file.read_bytes()


def test_rotation_under_load_loses_no_line(operated: Operated) -> None:
    moved, over = operated.log_file.with_suffix(".1"), threading.Event()

    def ask(number: int) -> list[str]:
        """The traces of requests that were answered until the test is over."""
        traces = []
        while not over.is_set():
            answer = http.get(f"/v1/policies/{number}{secrets.token_hex(6)}")
            assert answer.status_code == 401
            traces.append(answer.headers["x-trace-id"])
        return traces

    def is_logged_anew() -> bool:
        return operated.log_file.exists() and any(line["component"] == "gateway" for line in operated.lines())

    with ThreadPoolExecutor(6) as threads, httpx.Client(base_url=operated.platform.url, timeout=30) as http:
        asking = [threads.submit(ask, number) for number in range(6)]
        try:
            operated.log_file.rename(moved)
            signal_all(operated.pids(), signal.SIGHUP)
            until(is_logged_anew)
        finally:
            over.set()
        answered = Counter(trace for each in asking for trace in each.result())

    def logged() -> Counter[str]:
        lines = operated.lines_of(moved) + operated.lines()
        return Counter(line["trace_id"] for line in lines if line["message"] == "request")

    until(lambda: answered <= logged())
    times_logged = logged()
    assert {times_logged[trace] for trace in answered} == {1}


def test_every_process_debugs_when_asked_and_stops_when_asked_again(operated: Operated) -> None:
    for level in ("debug", "info"):
        mark = operated.mark()
        signal_all(operated.pids(), signal.SIGUSR2)

        def all_changed(mark: int = mark, level: str = level) -> bool:
            changed = [line for line in operated.lines(after=mark) if line["message"] == "log level changed"]
            assert all(line["log_level"] == level for line in changed)
            return {line["component"] for line in changed} == {*NAMES} and len(changed) == len(NAMES) + 3

        until(all_changed)  # the three: a second worker of the gateway, and two copies of users besides their parent


def test_counts_are_right_over_all_workers(operated: Operated) -> None:
    def counts() -> dict[str, float]:
        of_route = {"method": "POST", "path": "/v1/users", "status": "200"}
        otel = {"http_request_method": "POST", "http_route": "/v1/users", "http_response_status_code": "200"}
        rpc = {"rpc_method": "bazaruto.users.v1.UserService/RegisterUser", "rpc_status_code": "OK"}
        return {
            "requests": operated.sample("gateway", "http_requests_total", **of_route),
            "durations": operated.sample(
                "gateway", "http_request_duration_seconds_count", method="POST", path="/v1/users"
            ),
            "otel": operated.sample("gateway", "http_server_request_duration_seconds_count", **otel),
            "calls": operated.sample("users", "rpc_server_call_duration_seconds_count", **rpc),
            "registrations": operated.sample("users", "bazaruto_user_registrations_total", source="api"),
        }

    def sign_up(_: int) -> int:
        account = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD, "fullName": "Test Person"}
        with httpx.Client(base_url=operated.platform.url, timeout=30) as http:  # a connection each: any worker
            return http.post("/v1/users", json=account).status_code

    before = counts()
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(sign_up, range(24))) == {200}

    def counted() -> dict[str, float]:
        return {name: count - before[name] for name, count in counts().items()}

    until(lambda: min(counted().values()) >= 24)  # some are counted when the answer is out
    assert counted() == dict.fromkeys(before, 24)


def test_failed_logins_are_counted_by_reason_and_begin_at_nought(operated: Operated) -> None:
    name = "bazaruto_auth_failed_logins_total"
    assert f'{name}{{reason="refresh_reused"}}' in operated.metrics_of("users")
    before = operated.sample("users", name)
    for number in range(7):
        body = {"email": f"{secrets.token_hex(8)}@example.com", "password": PASSWORD}
        transport = httpx.HTTPTransport(local_address=f"127.0.7.{number + 1}")  # one address would have to wait
        with httpx.Client(base_url=operated.platform.url, transport=transport, timeout=30) as http:
            assert http.post("/v1/auth/login", json=body).status_code == 401
    until(lambda: operated.sample("users", name) - before >= 7)
    assert operated.sample("users", name) - before == 7


def test_ids_in_paths_add_no_series(operated: Operated) -> None:
    for _ in range(2):
        operated.get("/v1/policies/first")
        operated.get("/no/such/first")
        before = operated.metrics_of("gateway").count("\n")  # the second time, this page has its own series too
    with httpx.Client(base_url=operated.platform.url, timeout=30) as http:
        for _ in range(300):
            http.get(f"/v1/policies/{secrets.token_hex(8)}")
        for _ in range(60):
            http.get(f"/no/such/{secrets.token_hex(8)}")
    assert operated.metrics_of("gateway").count("\n") == before


def test_purchase_counts_policies_premium_and_payments(operated: Operated, buyer: Buyer) -> None:
    def counts() -> list[float]:
        return [
            operated.sample("policies", "bazaruto_policies_issued_total", product_type="motor"),
            operated.sample("policies", "bazaruto_policies_activated_total", product_type="motor"),
            operated.sample("payments", "bazaruto_payments_total", outcome="succeeded"),
            operated.sample("payments", "bazaruto_payments_total", outcome="declined"),
        ]

    written = operated.sample("policies", "bazaruto_premium_written_minor_units_total")
    before = counts()
    policy = buyer.issue()
    invoice = buyer.invoice_of(policy)
    path = f"/v1/invoices/{invoice['invoiceId']}:pay"
    key = secrets.token_hex(16)
    buyer.call("POST", path, {"paymentMethod": "pm_card_declined"}, key=key, accept=(400, 409, 422))
    buyer.pay(invoice)
    buyer.in_force(policy)

    def counted() -> list[float]:
        return [after - earlier for after, earlier in zip(counts(), before, strict=True)]

    until(lambda: min(counted()) >= 1)
    assert counted() == [1, 1, 1, 1]
    assert operated.sample("policies", "bazaruto_premium_written_minor_units_total") > written
    assert operated.sample("policies", "rpc_client_call_duration_seconds_count") > 0


def test_quotes_are_counted_by_product(operated: Operated, buyer: Buyer) -> None:
    name = "bazaruto_quote_calculation_duration_seconds_count"
    before, others = operated.sample("quotes", name, product_type="motor"), operated.sample("quotes", name)
    for _ in range(6):
        buyer.call("POST", "/v1/quotes", {"risk": RISK}, key=secrets.token_hex(16))
    until(lambda: operated.sample("quotes", name, product_type="motor") - before >= 6)
    assert operated.sample("quotes", name, product_type="motor") - before == 6
    assert operated.sample("quotes", name) - others == 6


def test_metrics_of_the_guide_have_its_help_and_its_buckets(operated: Operated, buyer: Buyer) -> None:
    buyer.call("POST", "/v1/quotes", {"risk": RISK}, key=secrets.token_hex(16))
    page = operated.metrics_of("quotes")
    assert "# HELP bazaruto_quote_calculation_duration_seconds Time spent calculating quotes\n" in page
    edges = set(re.findall(r'bazaruto_quote_calculation_duration_seconds_bucket\{.*le="([\d.]+)"', page))
    assert edges >= {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"}
    registrations = "# HELP bazaruto_user_registrations_total Total number of user registrations\n"
    assert registrations in operated.metrics_of("users")


@pytest.mark.parametrize("name", NAMES)
def test_metrics_of_a_process_tell_what_runs_and_no_time_of_creation(operated: Operated, name: str) -> None:
    page = operated.metrics_of(name)
    assert "bazaruto_build_info" in page
    assert "_created" not in page


@pytest.mark.parametrize("name", NAMES)
def test_profiles_of_a_process_are_packed_and_not_for_proxies(operated: Operated, name: str) -> None:
    url = f"{operated.platform.address_of(name)}/debug/pprof/"
    for page in ("profile?seconds=0.3", "heap?seconds=0.3", "goroutine"):
        answer = httpx.get(f"{url}{page}", timeout=30)
        assert answer.status_code == 200
        assert answer.content[:2] == b"\x1f\x8b"
    assert httpx.get(f"{url}goroutine?debug=1", timeout=30).text.count("@") >= 1
    assert httpx.get(f"{url}profile?seconds=x", timeout=30).status_code == 400
    through_a_proxy = {"x-forwarded-for": "203.0.113.9"}
    assert httpx.get(f"{url}goroutine", headers=through_a_proxy, timeout=30).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_profiles_are_for_the_machine_itself_and_of_the_gateway_for_administrators(
    operated: Operated, admin: dict[str, str], buyer: Buyer, name: str
) -> None:
    url = f"{operated.platform.address_of(name)}/debug/pprof/"
    customer = {"authorization": f"Bearer {buyer.token}"}
    answers = {"gateway": (404, 403, 200)}.get(name, (404, 404, 404))
    for page in ("", "profile?seconds=0.1", "heap?seconds=0.1", "goroutine"):
        for token, status in zip(({}, customer, admin), answers, strict=True):
            elsewhere = {**token, "x-forwarded-for": "203.0.113.9"}
            assert httpx.get(f"{url}{page}", headers=elsewhere, timeout=30).status_code == status
    assert httpx.get(f"{url}goroutine", timeout=30).status_code == 200


def test_failure_of_ours_is_one_error_line(operated: Operated, buyer: Buyer) -> None:
    mark = operated.mark()
    with psycopg.connect(operated.platform.postgres.url("bazaruto_policies"), autocommit=True) as connection:
        connection.execute("ALTER TABLE policies RENAME TO policies_elsewhere")
        try:
            headers = {"authorization": f"Bearer {buyer.token}"}
            answer = httpx.get(f"{operated.platform.url}/v1/policies", headers=headers, timeout=30)
        finally:
            connection.execute("ALTER TABLE policies_elsewhere RENAME TO policies")
    assert answer.status_code == 500
    errors = [line for line in operated.lines(after=mark) if re.search("level.*error", json.dumps(line))]
    assert [(line["component"], line["trace_id"]) for line in errors] == [("policies", answer.headers["x-trace-id"])]


def test_slow_query_is_logged_and_counted_once(operated: Operated, buyer: Buyer) -> None:
    policy = buyer.issue()
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND now() - query_start > interval '0.4 s'"
    mark = operated.mark()
    before = operated.sample("policies", "bazaruto_db_slow_queries_total")
    with (
        psycopg.connect(operated.platform.postgres.url("bazaruto_policies")) as holder,
        ThreadPoolExecutor(1) as thread,
    ):
        holder.execute("LOCK TABLE policies IN ACCESS EXCLUSIVE MODE")
        reading = thread.submit(buyer.call, "GET", f"/v1/policies/{policy['policyId']}")
        until(lambda: bool(operated.platform.rows("policies", waits)))
        holder.rollback()
        reading.result()

    def slow() -> list[dict[str, Any]]:
        return [line for line in operated.lines(after=mark) if line["message"] == "slow query"]

    until(slow)
    (line,) = slow()
    assert operated.sample("policies", "bazaruto_db_slow_queries_total") - before == 1
    assert line["response_time"] >= 200
    assert buyer.user_id not in str(line)


def test_workers_outlive_their_database_and_go_on_with_their_jobs(recovering: Operated, buyer: Buyer) -> None:
    workers = [process.name for process in PROCESSES if process.verb == "work"]
    pids = recovering.pids()
    with recovering.postgres_stopped():
        until(lambda: all(recovering.sample(name, "bazaruto_worker_database_up") == 0 for name in workers))
        assert all("bazaruto_jobs_pending{" not in recovering.metrics_of(name) for name in workers)
        assert {httpx.get(f"{recovering.platform.address_of(name)}/readyz").status_code for name in workers} == {503}
    until(lambda: all(recovering.sample(name, "bazaruto_worker_database_up") == 1 for name in workers))
    assert all("bazaruto_jobs_pending{" in recovering.metrics_of(name) for name in workers)
    assert {httpx.get(f"{recovering.platform.address_of(name)}/readyz").status_code for name in workers} == {200}
    recovering.recover()
    policy = buyer.issue()
    buyer.pay(buyer.invoice_of(policy))
    buyer.in_force(policy)
    assert recovering.pids() == pids
    assert recovering.platform.supervisor.dead() == []
