"""What takes the logs to Elasticsearch, and the queries that find them there."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.deploy.programs import DEPLOY
from tests.deploy.queries import chooses

FOLDER = DEPLOY / "logging"
CONTAINERS = yaml.safe_load((FOLDER / "docker-compose.logging.yml").read_text())["services"]
PIPELINE = re.sub(r"#.*", "", (FOLDER / "logstash.conf").read_text())


@pytest.mark.parametrize(
    ("name", "image", "port"),
    [
        ("elasticsearch", "docker.elastic.co/elasticsearch/elasticsearch:8.11.0", 9200),
        ("logstash", "docker.elastic.co/logstash/logstash:8.11.0", 5044),
        ("kibana", "docker.elastic.co/kibana/kibana:8.11.0", 5601),
    ],
)
def test_container_is_the_one_of_the_guide(name: str, image: str, port: int) -> None:
    assert CONTAINERS[name]["image"] == image
    assert CONTAINERS[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_elasticsearch_is_a_single_node() -> None:
    assert {"discovery.type=single-node", "xpack.security.enabled=false"} <= set(
        CONTAINERS["elasticsearch"]["environment"]
    )


def test_kibana_looks_at_elasticsearch() -> None:
    assert "ELASTICSEARCH_HOSTS=http://elasticsearch:9200" in CONTAINERS["kibana"]["environment"]


def test_logstash_runs_our_pipeline() -> None:
    assert "./logstash.conf:/usr/share/logstash/pipeline/logstash.conf:ro" in CONTAINERS["logstash"]["volumes"]


@pytest.mark.parametrize(
    "stage",
    [
        r"input\s*{\s*beats\s*{\s*port => 5044\s*}\s*}",
        r'if \[fields\]\[service\] == "bazaruto"\s*{\s*json\s*{\s*source => "message"\s*}',
        r'date\s*{\s*match => \[ "timestamp", "ISO8601" \]\s*}',
        r'output\s*{\s*elasticsearch\s*{\s*hosts => \["elasticsearch:9200"\]\s*index => "bazaruto-%{\+YYYY.MM.dd}"',
    ],
)
def test_pipeline_has_the_stages_of_the_guide(stage: str) -> None:
    assert re.search(stage, PIPELINE)
    assert PIPELINE.count("{") == PIPELINE.count("}")


def test_filebeat_sets_the_field_that_the_pipeline_asks_for() -> None:
    beat = yaml.safe_load((FOLDER / "filebeat.yml").read_text())
    (source,) = beat["filebeat.inputs"]
    assert source["fields"] == {"service": "bazaruto"}
    assert source["fields_under_root"] is False  # the pipeline asks for [fields][service]
    assert "parsers" not in source  # the pipeline reads the JSON, in one place
    assert beat["output.logstash"]["hosts"] == ["logstash:5044"]
    assert source["paths"] == ["/var/log/bazaruto/*.log"]
    assert "./filebeat.yml:/usr/share/filebeat/filebeat.yml:ro" in CONTAINERS["filebeat"]["volumes"]


@pytest.mark.parametrize(
    ("name", "line", "chosen"),
    [
        ("errors-by-service", {"level": "error", "service": "bazaruto"}, True),
        ("errors-by-service", {"level": "error", "service": "another"}, False),
        ("errors-by-service", {"level": "info", "service": "bazaruto"}, False),
        ("slow-requests", {"response_time": 1000}, True),
        ("slow-requests", {"response_time": 999.9}, False),
        ("slow-requests", {"message": "has no time"}, False),
    ],
)
def test_query_chooses_the_lines_it_is_for(name: str, line: dict[str, object], chosen: bool) -> None:
    assert chooses(json.loads((FOLDER / "kibana" / f"{name}.json").read_text())["query"], line) is chosen
