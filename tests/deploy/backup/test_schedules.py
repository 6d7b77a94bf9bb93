"""The schedules of the backups: what they start exists, fits together, and is seen by the monitoring."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bazarutod.backup.settings import VARIABLES
from bazarutod.stack import PROCESSES
from libs.config import defaults
from tests.deploy.backup.installation import (
    COMPOSITION,
    INSTALLED,
    SCRIPTS,
    container,
    variables_of_cluster,
    variables_of_composition,
)
from tests.deploy.manifests import deployment_name, of_kind, pods
from tests.deploy.programs import DEPLOY, ROOT

DOCKERFILE = SCRIPTS / "Dockerfile"
SCHEDULES = {
    "dump": "backup.sh",
    "base-backup": "base-backup.sh",
    "incremental-backup": "incremental-backup.sh",
}
by_schedule = pytest.mark.parametrize("name", SCHEDULES)


@by_schedule
def test_schedule_starts_a_script_that_the_image_has(name: str) -> None:
    assert container(name)["command"] == [f"{INSTALLED}/{SCHEDULES[name]}"]
    assert os.access(SCRIPTS / SCHEDULES[name], os.X_OK)
    assert f"COPY deploy/backup/*.sh {INSTALLED}/" in DOCKERFILE.read_text()


@by_schedule
def test_schedule_runs_alone_in_time_and_is_made_up_for(name: str) -> None:
    spec = of_kind("production", "CronJob")[name]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["timeZone"] == "Etc/UTC"
    assert spec["startingDeadlineSeconds"] >= 3600
    assert 0 < spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < 24 * 3600
    assert spec["jobTemplate"]["spec"]["backoffLimit"] > 0


def test_dump_is_taken_often_enough_for_the_alert() -> None:
    minute, hour, *days = of_kind("production", "CronJob")["dump"]["spec"]["schedule"].split()
    assert minute.isdigit()
    assert hour.isdigit()
    assert days == ["*", "*", "*"]
    assert "26 * 3600" in (DEPLOY / "prometheus" / "further.yml").read_text()


@by_schedule
def test_backup_of_the_cluster_is_sealed_and_uploaded(name: str) -> None:
    given = variables_of_cluster(name)
    assert given["BACKUP_BUCKET"].startswith("s3://")
    assert int(given["BACKUP_KEEP_DAYS"]) > 0
    secrets = {m["name"]: m["mountPath"] for m in container(name)["volumeMounts"]}["secrets"]
    for variable in ("AGE_RECIPIENTS_FILE", "DB_PASSWORD_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        assert Path(given[variable]).parent == Path(secrets)
    page = (ROOT / "docs" / "deployment.md").read_text()
    command = page[page.index("create secret generic bazaruto-backup") :].split("\nkubectl")[0]
    created = {name.split("=")[0].rpartition("/")[2] for name in re.findall(r"--from-file=(\S+)", command)}
    mounted = {Path(value).name for value in given.values() if value.startswith(f"{secrets}/")}
    assert mounted == created


@pytest.mark.parametrize("name", [*SCHEDULES, "composition"])
def test_every_variable_is_one_that_a_script_or_a_program_reads(name: str) -> None:
    given = variables_of_composition() if name == "composition" else variables_of_cluster(name)
    of_programs = {"AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", "AWS_DEFAULT_REGION", "HOME"}
    assert [variable for variable in given if variable not in VARIABLES and variable not in of_programs] == []


def test_volumes_that_are_shared_are_mounted_on_one_node() -> None:
    claims = of_kind("production", "PersistentVolumeClaim")
    assert claims.keys() == {"backups", "wal-archive"}
    for name in (*SCHEDULES, "backup-metrics"):
        (rule,) = pods("production")[name]["spec"]["affinity"]["podAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert rule["topologyKey"] == "kubernetes.io/hostname"
        assert (
            rule["labelSelector"]["matchLabels"].items() <= pods("production")["postgres"]["metadata"]["labels"].items()
        )
        mounted = {v["persistentVolumeClaim"]["claimName"] for v in pods("production")[name]["spec"]["volumes"][:1]}
        assert mounted <= claims.keys()
    # The archive is closed to everybody but its owner, and who tidies it must be that owner.
    owners = {pods("production")[name]["spec"]["securityContext"]["runAsUser"] for name in (*SCHEDULES, "postgres")}
    assert len(owners) == 1


def test_composition_archives_as_the_cluster_does_and_runs_both_from_one_image() -> None:
    services = COMPOSITION["services"]
    said = [part for part in services["postgres"]["command"] if "=" in part]
    assert set(said) == {part for part in container("postgres")["args"] if "=" in part}
    assert services["postgres"]["image"] == services["backup"]["image"] == "bazaruto-postgres:18.0"
    assert {container(name)["image"] for name in (*SCHEDULES, "postgres")} == {"bazaruto-postgres:18.0"}
    assert services["postgres"]["build"] == {"context": ".", "dockerfile": str(DOCKERFILE.relative_to(ROOT))}
    for name in ("postgres", "backup"):
        assert "wal-archive:/wal-archive" in services[name]["volumes"]
        assert services[name]["user"] == "999:999"  # whom the image gives the folders to


def test_container_that_is_stopped_has_time_to_remove_what_is_unfinished() -> None:
    assert COMPOSITION["services"]["backup"]["stop_grace_period"] == "60s"


def test_prometheus_is_shown_the_folder_that_the_scripts_write_to() -> None:
    for given, arguments in (
        (variables_of_cluster("dump"), container("backup-metrics")["args"]),
        (variables_of_composition(), COMPOSITION["services"]["backup-metrics"]["command"]),
    ):
        assert f"--collector.textfile.directory={given['METRICS_DIR']}" in arguments
    (targets,) = yaml.safe_load((DEPLOY / "docker" / "targets" / "node.yml").read_text())
    assert targets["targets"] == ["backup-metrics:9100"]


def test_pods_are_found_with_the_jobs_and_labels_that_the_rules_look_at() -> None:
    ports_by_job: dict[str, dict[str, int]] = {}
    for job in yaml.safe_load((DEPLOY / "kubernetes" / "scrape.yml").read_text())["scrape_configs"]:
        for template in pods("production").values():
            for port in [port for one in template["spec"]["containers"] for port in one.get("ports", [])]:
                if (labels := relabelled(job["relabel_configs"], template["metadata"]["labels"], port)) is not None:
                    known = labels.get("process", template["metadata"]["labels"]["app.kubernetes.io/component"])
                    ports_by_job.setdefault(job["job_name"], {})[known] = port["containerPort"]
                    if job["job_name"] == "bazaruto":
                        assert labels["service"] == next(p.service for p in PROCESSES if p.name == known)
    process_ports = {"gateway": 8080}
    for service, listens in defaults().services.items():
        process_ports[service] = int(listens.metrics.rpartition(":")[2])
        process_ports[f"{service}-worker"] = int(listens.worker_metrics.rpartition(":")[2])
    assert ports_by_job == {
        "bazaruto": process_ports,
        "postgres": {"postgres-exporter": 9187},
        "redis": {"redis-exporter": 9121},
        "backup": {"backup-metrics": 9100},
    }
    assert {deployment_name(name) for name in process_ports} <= pods("production").keys()


def relabelled(rules: list[dict[str, Any]], pod: dict[str, str], port: dict[str, Any]) -> dict[str, str] | None:
    """The labels that Prometheus gives a port of a pod; None when it drops it."""
    sources = {f"__meta_kubernetes_pod_label_{re.sub(r'[./-]', '_', name)}": value for name, value in pod.items()}
    sources |= {"__meta_kubernetes_pod_container_port_name": port["name"], "__meta_kubernetes_pod_name": "pod-0"}
    labels: dict[str, str] = {}
    for rule in rules:
        (source,) = rule["source_labels"]
        matched = re.fullmatch(rule.get("regex", "(.*)"), sources[source])
        if rule.get("action") == "keep":
            if not matched:
                return None
        elif matched:
            labels[rule["target_label"]] = matched.expand(rule.get("replacement", "$1").replace("$", "\\"))
    return labels
