"""The network policies let through exactly the calls of bazarutod/stack.py, and what goes to databases, telemetry."""

from __future__ import annotations

from typing import Any

import pytest

from bazarutod.stack import CALLS, PROCESSES, SERVICES, Process
from libs.config import defaults
from tests.deploy.manifests import of_kind, pods

OVERLAY = "production"
COMPONENT = "app.kubernetes.io/component"
by_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
Edge = tuple[str, str, int]


def labels() -> dict[str, dict[str, str]]:
    """The labels of every pod, by component."""
    pod_labels = [template["metadata"]["labels"] for template in pods(OVERLAY).values()]
    return {pod[COMPONENT]: pod for pod in pod_labels}


def matches(selector: dict[str, Any], pod: dict[str, str]) -> bool:
    """Whether a label selector chooses a pod."""
    for rule in selector.get("matchExpressions", []):
        if (pod.get(rule["key"]) in rule["values"]) != (rule["operator"] == "In"):
            return False
    match_labels: dict[str, str] = selector.get("matchLabels", {})
    return match_labels.items() <= pod.items()


def edges(direction: str) -> set[Edge]:
    """Who may reach whom on which port, as the policies of one direction say: (from, to, port)."""
    allowed_edges: set[Edge] = set()
    known = labels()
    peers, rules = ("from", "ingress") if direction == "Ingress" else ("to", "egress")
    for policy in of_kind(OVERLAY, "NetworkPolicy").values():
        spec = policy["spec"]
        here = [name for name, pod in known.items() if matches(spec["podSelector"], pod)]
        for rule in spec.get(rules, []):
            for peer in rule[peers]:
                if peer.keys() != {"podSelector"}:
                    continue  # another namespace, or the world
                there = [name for name, pod in known.items() if matches(peer["podSelector"], pod)]
                for one in here:
                    for other in there:
                        for port in rule["ports"]:
                            pair = (other, one) if direction == "Ingress" else (one, other)
                            allowed_edges.add((*pair, port["port"]))
    return allowed_edges


def documented() -> set[Edge]:
    """The calls of the table, and the databases."""
    calls = {
        (caller, callee, int(defaults().services[callee].listen.rpartition(":")[2]))
        for caller, callees in CALLS.items()
        for callee in callees
    }
    calls |= {(process.name, "postgres", 5432) for process in PROCESSES if process.name != "gateway"}
    calls |= {("migrate", "postgres", 5432)}
    # /ops of the gateway reads what workers remember, beside their metrics.
    for service, listens in defaults().services.items():
        calls.add(("gateway", f"{service}-worker", int(listens.worker_metrics.rpartition(":")[2])))
    calls |= {("backup", "postgres", 5432), ("postgres-exporter", "postgres", 5432), ("redis-exporter", "redis", 6379)}
    # The cache of users, and the health of the gateway; jobs of users need neither.
    return calls | {(name, "redis", 6379) for name in ("gateway", "users")}


def test_what_may_be_sent_is_the_documented_call_graph() -> None:
    assert edges("Egress") == documented()


def test_what_may_be_received_is_the_documented_call_graph() -> None:
    assert edges("Ingress") == documented()


def test_everything_else_is_refused_both_ways() -> None:
    spec = of_kind(OVERLAY, "NetworkPolicy")["default-deny"]["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@by_process
def test_prometheus_reaches_the_metrics_and_only_those(process: Process) -> None:
    if process.name == "gateway":
        port = 8080
    else:
        listens = defaults().services[process.service]
        address = listens.metrics if process.verb == "serve" else listens.worker_metrics
        port = int(address.rpartition(":")[2])
    open_to = {
        rule["ports"][0]["port"]
        for rule in of_kind(OVERLAY, "NetworkPolicy")[process.name]["spec"]["ingress"]
        for peer in rule["from"]
        if peer.get("namespaceSelector", {}).get("matchLabels") == {"kubernetes.io/metadata.name": "monitoring"}
    }
    assert open_to == {port}


def test_only_letters_and_backups_reach_the_world_and_the_cloud_tells_them_no_credentials() -> None:
    outward = {
        (name, port["port"])
        for name, policy in of_kind(OVERLAY, "NetworkPolicy").items()
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
        if peer["ipBlock"]["except"] == ["169.254.0.0/16"]
    }
    assert outward == {("users-worker", 587), ("users-worker", 465), ("backup", 443)}
    everywhere = str(of_kind(OVERLAY, "NetworkPolicy"))
    assert everywhere.count("ipBlock") == everywhere.count("169.254.0.0/16") == 2


@pytest.mark.parametrize(
    ("name", "port"), [("postgres-exporter", 9187), ("redis-exporter", 9121), ("backup-metrics", 9100)]
)
def test_prometheus_reaches_the_exporters(name: str, port: int) -> None:
    (rule,) = of_kind(OVERLAY, "NetworkPolicy")[name]["spec"]["ingress"]
    assert rule == {
        "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "ports": [{"protocol": "TCP", "port": port}],
    }
    (container,) = pods(OVERLAY)[name]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": port}]


def test_only_the_gateway_is_reached_from_the_ingress() -> None:
    entry = {
        name
        for name, policy in of_kind(OVERLAY, "NetworkPolicy").items()
        for rule in policy["spec"].get("ingress", [])
        for peer in rule["from"]
        if "ingress" in peer.get("namespaceSelector", {}).get("matchLabels", {}).values()
    }
    assert entry == {"gateway"}
    assert not {name for name in SERVICES if name in entry}
