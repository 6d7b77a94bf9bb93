"""The manifests: valid, complete, confined, and named as the operations guide names them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bazarutod.stack import PROCESSES, SERVICES, Process
from gateway.http.exchange import networks
from libs.config import defaults
from tests.deploy.configuring import settings_of
from tests.deploy.manifests import OVERLAYS, Manifest, deployment_name, manifests, of_kind, pods, rendered
from tests.deploy.programs import DEPLOY, ROOT, run

in_every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
by_process = pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)


def container(name: str, overlay: str = "production") -> Manifest:
    """The one container of a pod."""
    (only,) = pods(overlay)[name]["spec"]["containers"]
    return dict(only)


@in_every_overlay
@pytest.mark.parametrize("version", ["1.32.0", "1.37.0"])
def test_manifests_hold_no_field_that_kubernetes_does_not_know(overlay: str, version: str, tmp_path: Path) -> None:
    path = tmp_path / "manifests.yaml"
    path.write_text(rendered(overlay))
    run("kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", version, path)


@in_every_overlay
def test_checkov_finds_nothing_in_the_manifests(overlay: str, tmp_path: Path) -> None:
    path = tmp_path / "manifests.yaml"
    path.write_text(rendered(overlay))
    report = run("checkov", "--config-file", DEPLOY / "checkov.yaml", "--framework", "kubernetes", "--file", path)
    assert "Failed checks: 0" in report


@in_every_overlay
def test_everything_is_in_the_namespace_and_the_namespace_takes_confined_pods_only(overlay: str) -> None:
    objects = manifests(overlay)
    assert {m["metadata"].get("namespace") for (kind, _), m in objects.items() if kind != "Namespace"} == {"bazaruto"}
    labels = objects["Namespace", "bazaruto"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@in_every_overlay
def test_every_process_is_a_deployment_of_its_own(overlay: str) -> None:
    deployments = {deployment_name(process.name) for process in PROCESSES}
    deployments |= {"redis", "redis-exporter", "postgres-exporter"}
    deployments |= set() if overlay == "development" else {"backup-metrics"}
    assert of_kind(overlay, "Deployment").keys() == deployments
    assert of_kind(overlay, "StatefulSet").keys() == {"postgres"}


@by_process
def test_pod_runs_its_process_with_its_own_secrets(process: Process) -> None:
    name = deployment_name(process.name)
    front = "gateway" if process.name == "gateway" else process.service
    assert container(name)["args"] == [process.verb, front]
    volumes = {volume["name"]: volume for volume in pods("production")[name]["spec"]["volumes"]}
    keys = [item["key"] for part in volumes["secrets"]["projected"]["sources"] for item in part["secret"]["items"]]
    assert keys == ["internal"] + ([] if front == "gateway" else [f"db-url-{front}"])
    assert ("keys" in volumes) == ("fields" in volumes) == (process.name == "users")
    assert ("mail" in volumes) == (process.name == "users-worker")


@in_every_overlay
def test_every_pod_is_confined(overlay: str) -> None:
    for name, template in pods(overlay).items():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for one in spec["containers"]:
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            for bound in ("requests", "limits"):
                assert one["resources"][bound].keys() == {"cpu", "memory"}, name


@by_process
def test_liveness_asks_for_nothing_that_a_process_depends_on(process: Process) -> None:
    probes = container(deployment_name(process.name))
    if process.name == "gateway":
        assert probes["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert probes["readinessProbe"]["httpGet"]["path"] == "/readyz"
    elif process.verb == "serve":
        port = int(defaults().services[process.service].listen.rpartition(":")[2])
        assert probes["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
        assert probes["readinessProbe"]["grpc"] == {"port": port}
    else:
        assert probes["livenessProbe"]["httpGet"]["path"] == "/metrics"
        assert probes["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    assert probes["startupProbe"]["periodSeconds"] * probes["startupProbe"]["failureThreshold"] >= 60


@by_process
def test_rollout_takes_no_pod_away_before_another_is_ready(process: Process) -> None:
    spec = of_kind("production", "Deployment")[deployment_name(process.name)]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 45
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert {part["topologyKey"] for part in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def test_time_to_end_covers_the_drain_the_calls_and_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(DEPLOY / "kubernetes" / "base" / "config.yaml", monkeypatch)
    assert settings.drain.total_seconds() == 5  # and 25 s for calls, in libs/rpc/server.py and gateway/main.py
    assert settings.drain.total_seconds() + 25 < 45


def test_autoscalers_look_at_seventy_per_cent_of_the_processor() -> None:
    autoscalers = of_kind("production", "HorizontalPodAutoscaler")
    assert autoscalers.keys() == {"bazaruto", *SERVICES}
    for name, scaler in autoscalers.items():
        assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        (metric,) = scaler["spec"]["metrics"]
        assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
        assert scaler["spec"]["minReplicas"] >= 2
        # A number of replicas in the Deployment would undo the autoscaler's at each apply.
        assert "replicas" not in of_kind("production", "Deployment")[name]["spec"]


@by_process
def test_maintenance_takes_one_pod_at_a_time(process: Process) -> None:
    name = deployment_name(process.name)
    budget = of_kind("production", "PodDisruptionBudget")[name]["spec"]
    labels = pods("production")[name]["metadata"]["labels"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("service", SERVICES)
def test_callers_see_every_pod_of_a_service(service: str) -> None:
    spec = of_kind("production", "Service")[service]["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["selector"].items() <= pods("production")[service]["metadata"]["labels"].items()
    assert [port["port"] for port in spec["ports"]] == [int(defaults().services[service].listen.rpartition(":")[2])]


@pytest.mark.parametrize("service", SERVICES)
def test_gateway_finds_what_workers_remember(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment_of("bazaruto")
    settings = settings_of(DEPLOY / "kubernetes" / "base" / "config.yaml", monkeypatch, **given)
    host, _, port = settings.services[service].worker_metrics.rpartition(":")
    spec = of_kind("production", "Service")[host]["spec"]
    assert spec["selector"].items() <= pods("production")[f"{service}-worker"]["metadata"]["labels"].items()
    assert [one["port"] for one in spec["ports"]] == [int(port)]


def test_database_pod_has_the_name_that_the_guide_uses() -> None:
    postgres = of_kind("production", "StatefulSet")["postgres"]["spec"]  # its first pod is postgres-0
    assert postgres["serviceName"] == "postgres"
    assert postgres["volumeClaimTemplates"]
    mounted = of_kind("production", "ConfigMap")
    assert any(name.startswith("postgres-databases-") for name in mounted)


def test_migrations_are_a_job_that_tries_again() -> None:
    job = of_kind("production", "Job")["migrate"]["spec"]
    assert job["backoffLimit"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "OnFailure"
    assert container("migrate")["args"] == ["migrate"]
    assert len([part for part in container("migrate")["env"] if part["name"].endswith("__DB_URL_FILE")]) == len(
        SERVICES
    )


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_what_is_applied_first_is_all_that_the_migration_needs(overlay: str) -> None:
    label = "bazaruto.com/phase"
    first = {key for key, m in manifests(overlay).items() if m["metadata"].get("labels", {}).get(label) == "before"}
    needed = {("Job", "migrate"), ("StatefulSet", "postgres"), ("Service", "postgres")}
    needed |= {("NetworkPolicy", name) for name in ("default-deny", "names", "migrate", "postgres")}
    for name in ("migrate", "postgres"):
        spec = pods(overlay)[name]["spec"]
        needed |= {("ServiceAccount", spec["serviceAccountName"])}
        needed |= {("ConfigMap", v["configMap"]["name"]) for v in spec["volumes"] if "configMap" in v}
        claims = [v["persistentVolumeClaim"] for v in spec["volumes"] if "persistentVolumeClaim" in v]
        needed |= {("PersistentVolumeClaim", claim["claimName"]) for claim in claims}
    assert first == needed


@pytest.mark.parametrize("path", ["base", "overlays/development"])
def test_configuration_is_accepted_and_names_the_services(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(DEPLOY / "kubernetes" / path / "config.yaml", monkeypatch)
    for name, service in settings.services.items():
        assert service.target == f"dns:///{name}:{service.listen.rpartition(':')[2]}"


def test_hotfix_changes_the_image_and_nothing_else() -> None:
    before, after = manifests("production"), manifests("hotfix")
    assert before.keys() - after.keys() == {("Job", "migrate")}
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {("Deployment", deployment_name(process.name)) for process in PROCESSES}
    for key in changed:
        (fixed,) = after[key]["spec"]["template"]["spec"]["containers"]
        (shipped,) = before[key]["spec"]["template"]["spec"]["containers"]
        assert fixed["image"] != shipped["image"]
        shipped["image"] = fixed["image"]
        assert after[key] == before[key]


def test_production_believes_the_address_that_the_ingress_tells_and_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = environment_of("bazaruto")
    trusted = settings_of(DEPLOY / "kubernetes" / "base" / "config.yaml", monkeypatch, **given).gateway.trusted_proxies
    assert trusted
    assert all(network.is_private and network.prefixlen >= 8 for network in networks(trusted))


def test_worker_of_production_sends_letters_with_a_password_from_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = environment_of("users-worker")
    url = tmp_path / "db-url"
    url.write_text("postgresql://somewhere/else")
    given["BAZARUTO_SERVICES__USERS__DB_URL_FILE"] = str(url)
    mail = settings_of(DEPLOY / "kubernetes" / "base" / "config.yaml", monkeypatch, **given).mail
    assert mail.host
    assert mail.username
    mounted = {one["name"]: one["mountPath"] for one in container("users-worker")["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pods("production")["users-worker"]["spec"]["volumes"]}
    assert volumes["mail"]["secret"]["secretName"] == "bazaruto-mail"
    assert mail.password_file == f"{mounted['mail']}/mail-password"
    world = [
        rule["ports"]
        for rule in of_kind("production", "NetworkPolicy")["users-worker"]["spec"]["egress"]
        if "ipBlock" in rule["to"][0]
    ]
    assert mail.port in [one["port"] for ports in world for one in ports]


@in_every_overlay
def test_every_secret_that_is_mounted_is_one_that_the_deployment_page_creates(overlay: str) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    created = set(re.findall(r"create secret generic (\S+) ", page))
    mounted = set()
    for template in pods(overlay).values():
        for volume in template["spec"].get("volumes", []):
            parts = [volume, *volume.get("projected", {}).get("sources", [])]
            mounted |= {
                part["secret"].get("secretName", part["secret"].get("name")) for part in parts if "secret" in part
            }
    assert mounted <= created


def environment_of(name: str) -> dict[str, str]:
    """The variables of a pod's container but the place of its configuration."""
    return {part["name"]: part["value"] for part in container(name)["env"] if part["name"] != "BAZARUTO_CONFIG"}


def test_base_and_composition_configure_the_same_but_for_places() -> None:
    def flat(path: Path) -> dict[str, object]:
        settings_by_path: dict[str, object] = {}

        def walk(prefix: str, value: object) -> None:
            if isinstance(value, dict):
                for key, inner in value.items():
                    walk(f"{prefix}.{key}", inner)
            else:
                settings_by_path[prefix[1:]] = value

        walk("", yaml.safe_load(path.read_text()))
        return settings_by_path

    one, other = flat(DEPLOY / "docker" / "config.yaml"), flat(DEPLOY / "kubernetes" / "base" / "config.yaml")
    differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    # Who collects the money of a cluster is never chosen for its operator.
    assert differing == {"auth.internal_secret_file", "telemetry.otlp_endpoint", "payments.provider"}
    assert "payments.provider" not in other
