"""Fixtures that every kind of test may use."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import hypothesis
import pytest

from bazarutod import embedded
from libs.config import Settings
from tests.support import postgres, register, servers, skips
from tests.support.letterbox import Letterbox
from tests.support.people import People
from tests.support.platform import Platform, running_platform

# Enough examples to see a rule broken while working; HYPOTHESIS_PROFILE=thorough looks longer.
hypothesis.settings.register_profile("default", max_examples=25, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


# A pool of connections draws its times by chance, in a thread of its own, while a strategy is at work.
OTHERS_DRAW = "ignore:Do not use the `random` module inside strategies:hypothesis.errors.HypothesisDeprecationWarning"


def pytest_configure(config: pytest.Config) -> None:
    """The process that begins the run prepares what the parallel ones share."""
    config.addinivalue_line("filterwarnings", OTHERS_DRAW)
    if not hasattr(config, "workerinput"):
        postgres.begin_run()
        register.enter()


def pytest_unconfigure(config: pytest.Config) -> None:
    """And it tidies up after them."""
    if not hasattr(config, "workerinput"):
        postgres.end_run()
        register.leave()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is skipped fails: what nobody checked must not look green."""
    report = yield
    if not skips.may_lack_rights(item):
        skips.refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """And so does a file that is skipped as a whole."""
    report = yield
    skips.refuse(report)
    return report


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Callers with real tokens."""
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="session")
def letterbox() -> Iterator[Letterbox]:
    """Where the letters of `platform` arrive."""
    box = Letterbox()
    with box.open():
        yield box


@pytest.fixture(scope="session")
def platform(letterbox: Letterbox) -> Iterator[Platform]:
    """Every process of the platform, for all tests of a run that leave it as it was."""
    mail = {"host": "127.0.0.1", "port": letterbox.port, "tls": "none"}
    with running_platform(BAZARUTO_MAIL=json.dumps(mail)) as running:
        yield running


@pytest.fixture
def make_database() -> Callable[[str], str]:
    """`make_database("policies")` gives the URL of a fresh database with that service's tables."""
    return postgres.new_database


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which embedded servers can work, also when root runs the test."""
    with tempfile.TemporaryDirectory(prefix="bazaruto-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def spare_server(open_folder: Path) -> Iterator[embedded.Server]:
    """A server that holds nothing."""
    server = embedded.start(open_folder / "spare", throwaway=True)
    yield server
    server.stop()


@pytest.fixture
def settings_for(people: People) -> Callable[..., Settings]:
    """`settings_for(policies=url)` gives settings with free ports and those databases."""

    def make(**urls: str) -> Settings:
        return servers.settings_for(people, **urls)

    return make


@pytest.fixture
def start_server(people: People) -> Iterator[Callable[[str, str, servers.Build], grpc.Channel]]:
    """`start_server("policies", url, build)` serves until the test ends, and gives a channel."""
    with ExitStack() as stack:

        def start(service: str, url: str, build: servers.Build) -> grpc.Channel:
            settings = servers.settings_for(people, **{service: url})
            return stack.enter_context(servers.running_server(service, settings, people, build))

        yield start
