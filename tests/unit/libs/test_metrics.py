"""The page of metrics, and names in profiles of memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs import pprof, profiling
from libs.telemetry import metrics


def test_gauges_are_brought_up_to_date_for_each_page_until_they_are_gone() -> None:
    asked: list[str] = []

    def refresh() -> None:
        asked.append("asked")

    metrics.before_page(refresh)
    metrics.page()
    metrics.page()
    metrics.not_before_page(refresh)
    metrics.page()
    assert len(asked) == 2


def test_counters_have_one_series_each() -> None:
    assert "_created" not in metrics.page().decode()


def test_lost_races_begin_at_nought_for_each_kind() -> None:
    families = {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}
    kinds = {sample.labels["kind"] for sample in families["bazaruto_db_lost_races"].samples}
    assert kinds == {"deadlock", "serialization", "lock_timeout"}


def test_build_is_told_with_its_version() -> None:
    metrics.tell_build("sample")
    assert 'bazaruto_build_info{component="sample"' in metrics.page().decode()


def test_line_is_named_by_the_innermost_function_around_it(tmp_path: Path) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        "x = 1\n\nclass Box:\n    def open(self):\n        def look():\n            return 1\n        return look\n"
    )
    functions = pprof.Functions()
    named = [functions.name(str(file), line) for line in (1, 4, 6, 7)]
    assert named == ["", "Box.open", "Box.open.look", "Box.open"]


@pytest.mark.parametrize("file", ["/no/such/file.py", "<frozen importlib>", "<string>"])
def test_file_that_cannot_be_read_names_nothing(file: str) -> None:
    assert pprof.Functions().name(file, 1) == ""


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_here"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("10.0.0.1", "", False),
        ("127.0.0.1", "203.0.113.1", False),
        ("", "", False),
    ],
)
def test_profiles_are_for_the_machine_itself(peer: str, forwarded: str, is_here: bool) -> None:
    assert profiling.is_from_here(peer, forwarded) is is_here
