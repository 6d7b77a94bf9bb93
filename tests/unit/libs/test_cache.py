"""The cache without any server: what is kept, for how long, and who reads when many ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from bazarutod.ports import free_port
from libs import cache as caches
from libs import ids
from libs.cache import Cache, InProcess, InRedis
from libs.config import Settings
from libs.redis import Link, RedisAway
from services.users.accounts.adapters import caching
from services.users.accounts.rules.user import Role, State, User

Thing = tuple[int, str]  # a version and a text


@dataclass
class Source:
    """Where things come from; counts how often it is asked."""

    things: dict[str, Thing] = field(default_factory=lambda: {"a": (1, "old")})
    asked: int = 0

    def load(self, key: str = "a") -> Thing | None:
        self.asked += 1
        return self.things.get(key)


def cache_of(store: InProcess[Thing] | InRedis[Thing] | None = None) -> Cache[Thing]:
    return Cache("test", store or InProcess(), lambda thing: thing[0])


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value(f"bazaruto_cache_{outcome}_total", {"cache": "test"}) or 0


def test_second_read_asks_nobody() -> None:
    source, cache = Source(), cache_of()
    before = count("hits"), count("misses")
    assert [cache.get("a", source.load) for _ in range(3)] == [(1, "old")] * 3
    assert source.asked == 1
    assert (count("hits") - before[0], count("misses") - before[1]) == (2, 1)


def test_absence_is_not_kept() -> None:
    source, cache = Source({}), cache_of()
    assert cache.get("a", source.load) is None
    source.things["a"] = (1, "new")
    assert cache.get("a", source.load) == (1, "new")


def test_change_takes_the_place_of_what_is_kept() -> None:
    source, cache = Source(), cache_of()
    cache.get("a", source.load)
    cache.replace("a", (2, "new"))
    assert cache.get("a", source.load) == (2, "new")
    assert source.asked == 1


def test_older_version_never_takes_the_place_of_a_newer_one() -> None:
    source, cache = Source(), cache_of()
    cache.replace("a", (3, "newest"))
    cache.replace("a", (2, "late"))
    assert cache.get("a", source.load) == (3, "newest")


def test_read_that_began_before_a_change_does_not_bring_the_old_value_back() -> None:
    cache, began, go_on = cache_of(), threading.Event(), threading.Event()

    def slowly() -> Thing:
        began.set()
        go_on.wait(5)
        return (1, "old")

    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(cache.get, "a", slowly)
        began.wait(5)
        cache.replace("a", (2, "new"))
        assert cache.get("a", Source().load) == (2, "new")
        go_on.set()
        assert early.result() == (1, "old")
    assert cache.get("a", Source().load) == (2, "new")


def test_of_many_who_ask_at_once_one_reads() -> None:
    source, cache = Source(), cache_of()

    def slowly() -> Thing | None:
        time.sleep(0.1)
        return source.load()

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: cache.get("a", slowly), range(20))) == {(1, "old")}
    assert source.asked == 1


def test_failed_read_fails_for_all_who_wait_and_is_not_kept() -> None:
    cache = cache_of()

    def fail() -> Thing:
        time.sleep(0.05)
        raise LookupError("the source is away")

    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(cache.get, "a", fail) for _ in range(4)]:
            with pytest.raises(LookupError):
                ended.result()
    assert cache.get("a", Source().load) == (1, "old")


def test_value_is_kept_between_290_and_300_seconds() -> None:
    assert caches.KEPT == 300
    drawn = [caches._jittered(caches.KEPT) for _ in range(1000)]
    assert 290 <= min(drawn) < 291 < 299 < max(drawn) <= 300


def test_value_is_read_anew_when_its_time_is_over() -> None:
    source, cache = Source(), cache_of(InProcess(0.05))
    cache.get("a", source.load)
    time.sleep(0.06)
    cache.get("a", source.load)
    assert source.asked == 2


def test_without_redis_reads_go_to_the_source_and_it_is_told_once() -> None:
    link = Link(f"redis://127.0.0.1:{free_port()}/0")
    source, cache = Source(), cache_of(InRedis(link, "t:", lambda t: t[1].encode(), lambda kept: (1, kept.decode())))
    before = count("errors")
    with capture_logs() as lines:
        assert [cache.get("a", source.load) for _ in range(5)] == [(1, "old")] * 5
        cache.replace("a", (2, "new"))
    assert source.asked == 5
    assert count("errors") - before == 6
    assert [line["event"] for line in lines] == ["redis is away, going on without it"]


def test_newer_change_stays_owed_while_an_older_one_is_told() -> None:
    is_away = True
    written: list[int] = []
    meanwhile: list[Callable[[], None]] = []

    class Client:
        def eval(self, _script: str, _keys: int, _key: str, version: int, *_: object) -> None:
            written.append(version)
            while meanwhile:
                meanwhile.pop()()

        def get(self, _key: str) -> None:
            return None

    def link(ask: Any) -> Any:
        if is_away:
            raise RedisAway
        return ask(Client())

    def change(version: int) -> None:
        nonlocal is_away
        is_away = True
        with pytest.raises(RedisAway):
            store.keep("a", version, (version, "changed"))
        is_away = False

    store = InRedis[Thing](link, "t:", lambda t: t[1].encode(), lambda kept: (1, kept.decode()))  # type: ignore[arg-type]
    change(3)
    change(2)  # told late, and older
    meanwhile.append(lambda: change(4))
    for _ in range(3):
        store.find("b")
    assert written == [3, 4]


def test_link_that_failed_rests_before_it_asks_again() -> None:
    link, asked = Link(f"redis://127.0.0.1:{free_port()}/0"), 0

    def ask(client: Any) -> None:
        nonlocal asked
        asked += 1
        client.ping()

    for _ in range(10):
        with pytest.raises(RedisAway):
            link(ask)
    assert asked == 1


def test_user_is_the_same_after_being_kept() -> None:
    now = datetime.now(UTC)
    roles = (Role.CUSTOMER, Role.ADMIN)
    user = User(ids.new(), "ana@example.com", "Ana 🦩", "+258841234567", "pt-MZ", roles, State.DISABLED, now, now, 7)
    assert caching.decode(caching.encode(user)) == user
    assert b"hash" not in caching.encode(user)


@pytest.mark.parametrize("kept", [b"", b"{}", b"[]x", b'{"id": "x"}', b"\xff"])
def test_what_another_version_kept_is_refused_by_name(kept: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        caching.decode(kept)


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [({}, 300), ({"environment": "production"}, 2), ({"services": {"users": {"workers": 2}}}, 2)],
)
def test_without_redis_several_processes_keep_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], seconds: float
) -> None:
    chosen: list[float] = []

    def watched(seconds: float) -> InProcess[User]:
        chosen.append(seconds)
        return InProcess(seconds)

    monkeypatch.setattr(caching, "InProcess", watched)
    caching.choose(Settings(**settings), None)  # type: ignore[arg-type]
    assert chosen == [seconds]
