"""What docs/operations.md says of tables, metrics and documents is true of the running platform."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.buyer import Buyer
from tests.support.guide import GUIDE, Block, blocks_of
from tests.support.platform import Platform
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("platform")

_FROM_ELSEWHERE = ("redis_", "node_", "pg_")  # metrics of exporters


@pytest.mark.parametrize("block", blocks_of("sql"), ids=str)
def test_queries_to_the_database_work(platform: Platform, block: Block) -> None:
    with psycopg.connect(platform.postgres.url("bazaruto_users"), autocommit=True) as connection:
        for statement in filter(str.strip, block.text.split(";")):
            connection.execute(statement.encode()).fetchall()


@pytest.mark.usefixtures("buyer")  # a metric of HTTP is there once somebody has asked for something
def test_queries_to_prometheus_are_of_metrics_that_exist(platform: Platform) -> None:
    known = _metrics(platform)
    for block in blocks_of("promql"):
        for name in re.findall(r"\b(?:http|redis|bazaruto)_\w+", block.text):
            assert name in known or name.startswith(_FROM_ELSEWHERE), name


def test_metrics_that_the_guide_explains_exist_with_their_labels(platform: Platform, buyer: Buyer) -> None:
    buyer.issue()
    buyer.call("POST", "/v1/auth/login", {"email": "nobody@example.com", "password": "a wrong secret"}, accept=(401,))
    known = _metrics(platform)
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]*?) *\| ", GUIDE.read_text(), re.MULTILINE)
    assert len(rows) >= 10
    for name, labels in rows:
        assert name in known
        seen = known[name]
        assert not seen or set(filter(None, labels.split(", "))) <= seen, (name, seen)
    for name in re.findall(r"`((?:bazaruto|http|rpc)_\w+)`", GUIDE.read_text()):
        assert name in known, name


def test_health_document_has_the_shape_that_the_guide_shows(platform: Platform) -> None:
    shown, *_ = (json.loads(block.text) for block in blocks_of("json"))
    answered = httpx.get(f"{platform.url}/healthz", timeout=10).json()
    assert _shape(answered) == _shape(shown)
    assert answered["version"] == shown["version"]


@pytest.mark.usefixtures("buyer")
def test_log_line_has_the_fields_that_the_guide_shows(platform: Platform) -> None:
    _, shown = (json.loads(block.text) for block in blocks_of("json"))
    until(lambda: shown["message"] in platform.log(shown["component"]))
    logged = map(json.loads, platform.log(shown["component"]).splitlines())
    line = next(line for line in logged if line["message"] == shown["message"])
    assert set(shown) <= set(line)
    assert line["component"] == shown["component"]
    assert re.fullmatch(r".\*\*\*@[\w.]+", line["email"])


def _shape(value: Any) -> Any:
    return {key: _shape(v) for key, v in value.items()} if isinstance(value, dict) else type(value).__name__


def _metrics(platform: Platform) -> dict[str, set[str]]:
    """Every metric of every process by its name, with the labels that its series carry."""
    urls = [f"{platform.url}/metrics"]
    for service in platform.settings.services.values():
        urls += [f"http://{service.metrics}/metrics", f"http://{service.worker_metrics}/metrics"]
    labels_of: dict[str, set[str]] = {}
    for url in urls:
        with urllib.request.urlopen(url, timeout=10) as answer:
            page = answer.read().decode()
        for name in re.findall(r"^# TYPE (\w+)", page, re.MULTILINE):
            labels_of.setdefault(name, set())
        for name, labels in re.findall(r"^(\w+)\{([^}]*)\}", page, re.MULTILINE):
            own = set(re.findall(r"(\w+)=", labels)) - {"le"}
            labels_of.setdefault(name, set()).update(own)
            labels_of.setdefault(re.sub(r"_(bucket|count|sum)$", "", name), set()).update(own)
    return labels_of
