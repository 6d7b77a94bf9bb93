"""The page at `/ops` in a real browser, before services that report what an attacker wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bazaruto.operations.v1 import operations_pb2 as pb
from tests.integration.gateway.operated import Operated, operated
from tests.ops.browser import running_browser
from tests.support.people import People

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def stand_ins(people: People, tmp_path: Path) -> Iterator[Operated]:
    """A gateway in front of stand-ins."""
    with operated(tmp_path, people) as running:
        yield running


def test_what_comes_from_outside_is_shown_as_text(stand_ins: Operated, people: People) -> None:
    line = pb.ErrorLine(timestamp="2026-01-01T00:00:00Z", component=EVIL, level="error", message=EVIL, cause=EVIL)
    stand_ins.users.report.errors.append(line)
    stand_ins.quotes.report.queues.append(pb.Queue(name=EVIL, pending=1))
    stand_ins.quotes.report.database_error = EVIL
    try:
        with running_browser() as page:
            page.open(f"{stand_ins.gateway.url}/ops")
            page.type("#email", "ops@example.com")
            page.type("#password", "a long enough secret")
            page.run("document.querySelector('#log-in button').click()")
            page.wait("document.querySelector('#errors details')")
            for place in ("#errors", "#queues", "[data-process=quotes]"):
                assert EVIL in page.text(place)
            assert page.run("document.querySelectorAll('img, main script').length") == 0
            assert "down" in page.text("[data-process=policies]")
            page.run("document.querySelector('#log-out').click()")
            assert EVIL not in page.text("body")
            assert all(url.startswith(stand_ins.gateway.url) for url in page.requests)
            assert page.complaints == []
    finally:
        stand_ins.users.report.Clear()
        stand_ins.quotes.report.Clear()
