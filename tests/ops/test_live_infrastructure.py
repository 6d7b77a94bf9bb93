"""What the exporters tell of the machine, of Redis and of a standby, held against what is really so."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import yaml

from bazarutod import embedded
from bazarutod.ports import free_port
from tests.ops.monitoring import Monitoring, exporter, wait_until
from tests.support.buyer import Buyer
from tests.support.platform import Platform

pytestmark = [pytest.mark.xdist_group("ops"), pytest.mark.timeout(240)]


@pytest.fixture
def cache(platform: Platform) -> Iterator[redis.Redis]:
    """The platform's Redis server."""
    with redis.Redis.from_url(platform.settings.redis.url) as client:
        client.ping()
        yield client


@pytest.mark.needs_rights
def test_full_file_system_is_told(monitoring: Monitoring, tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(tmp_path)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:  # root of a container may lack the right, too
        pytest.skip(f"mounting a file system needs root with CAP_SYS_ADMIN: {mounted.stderr.strip()}")
    try:
        (tmp_path / "most").write_bytes(bytes(800 << 10))
        used = f'1 - node_filesystem_avail_bytes{{mountpoint="{tmp_path}"}} / node_filesystem_size_bytes'
        wait_until(lambda: 0.7 < (monitoring.value(used) or 0) < 0.85, "the file system is not seen")
        assert monitoring.firing("DiskUsageHigh", mountpoint=str(tmp_path)) == []

        (tmp_path / "more").write_bytes(bytes(100 << 10))

        alert = monitoring.wait_firing("DiskUsageHigh", mountpoint=str(tmp_path))
        assert alert["annotations"]["summary"] == "A disk is filling up"
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_machine_is_told_as_it_is(monitoring: Monitoring) -> None:
    wait_until(lambda: monitoring.value("node_load5") is not None, "the machine is not seen")
    cores = monitoring.value('count(node_cpu_seconds_total{mode="idle"})')
    assert cores == psutil.cpu_count()
    assert monitoring.value("node_memory_MemTotal_bytes") == psutil.virtual_memory().total
    for moving in ("node_cpu_seconds_total", 'node_network_receive_bytes_total{device!="lo"}'):
        assert monitoring.query(moving)


def test_memory_of_redis_is_told_and_bounded(monitoring: Monitoring, cache: redis.Redis) -> None:
    configured = cache.config_get("maxmemory*")
    allowed = int(configured["maxmemory"] or 0)
    wait_until(lambda: monitoring.value("redis_memory_used_bytes") is not None, "Redis is not seen")

    assert configured["maxmemory-policy"] == "allkeys-lru"
    assert monitoring.value("redis_memory_max_bytes") == allowed > 0
    assert 0 < (monitoring.value("redis_memory_used_bytes") or 0) < allowed


def test_connections_of_redis_are_counted(monitoring: Monitoring, platform: Platform, cache: redis.Redis) -> None:
    more = [redis.Redis.from_url(platform.settings.redis.url) for _ in range(7)]
    try:
        for client in more:
            client.ping()
        # The exporter is connected itself while it counts.
        wait_until(
            lambda: monitoring.value("redis_connected_clients") == _others(cache) + 1, "the connections do not agree"
        )
    finally:
        for client in more:
            client.close()


def test_hits_and_misses_of_redis_are_counted(monitoring: Monitoring, cache: redis.Redis) -> None:
    def counted() -> tuple[float, float]:
        return (
            monitoring.value("redis_keyspace_hits_total") or 0.0,
            monitoring.value("redis_keyspace_misses_total") or 0.0,
        )

    wait_until(lambda: bool(monitoring.query("redis_keyspace_hits_total")), "Redis is not seen")
    wait_until(lambda: counted() == _told_by(cache), "the counters do not settle")
    hits, misses = counted()
    cache.set("test:hit", "1", ex=30)

    for _ in range(40):
        cache.get("test:hit")
    for _ in range(9):
        cache.get("test:miss")

    wait_until(lambda: counted() == (hits + 40, misses + 9), "the reads were not counted")


def test_every_key_of_the_platform_has_an_end(cache: redis.Redis, buyer: Buyer) -> None:
    for _ in range(2):
        buyer.call("GET", f"/v1/users/{buyer.user_id}")
    keys = list(cache.scan_iter())
    assert keys
    assert [key for key in keys if cache.ttl(key) == -1] == []


def test_lag_of_a_standby_is_told(monitoring: Monitoring, platform: Platform) -> None:
    address = f"127.0.0.1:{free_port()}"
    targets = monitoring.folder / "prometheus/targets/postgres.yml"
    before = targets.read_text()
    with (
        _standby(platform) as standby,
        exporter("postgres", address, platform, monitoring.folder, postgres=standby.url("postgres")),
    ):
        try:
            targets.write_text(yaml.safe_dump([{"targets": [monitoring.exporters["postgres"], address]}]))
            lag = f'pg_replication_lag_seconds{{instance="{address}"}}'
            with psycopg.connect(platform.postgres.url("postgres"), autocommit=True) as primary:
                # Before its first transaction, a standby does not know how far it is behind.
                wait_until(lambda: _written(primary) and (monitoring.value(lag) or 0) > 0, "the standby is not seen")
                receiver = _receiver_of(standby)
                os.kill(receiver, signal.SIGSTOP)
                try:
                    wait_until(lambda: _written(primary) and (monitoring.value(lag) or 0) > 20, "no lag is told")
                finally:
                    os.kill(receiver, signal.SIGCONT)
                wait_until(lambda: _written(primary) and (monitoring.value(lag) or 99) < 10, "the lag stays")
        finally:
            targets.write_text(before)


def _others(cache: redis.Redis) -> int:
    """The connections that Redis has, without the exporter's own."""
    return len([client for client in cache.client_list() if client["name"] != "redis_exporter"])


def _told_by(cache: redis.Redis) -> tuple[float, float]:
    stats = cache.info("stats")
    return float(stats["keyspace_hits"]), float(stats["keyspace_misses"])


@contextmanager
def _standby(platform: Platform) -> Iterator[embedded.Server]:
    """A standby that follows the platform's server."""
    folder = platform.folder / "standby"
    source = platform.postgres.url("postgres")
    command = [str(embedded.binaries() / "pg_basebackup"), "-d", source, "-D", str(folder), "-R", "-c", "fast"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    embedded.give_to_server(folder)
    server = embedded.start(folder, throwaway=True)
    try:
        yield server
    finally:
        server.stop()


def _receiver_of(standby: embedded.Server) -> int:
    """The process of the standby that takes the log."""

    def receivers() -> list[tuple[int]]:
        with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
            return connection.execute("SELECT pid FROM pg_stat_wal_receiver").fetchall()

    wait_until(lambda: bool(receivers()), "the standby follows nobody")
    return receivers()[0][0]


def _written(connection: psycopg.Connection) -> bool:
    """Something is committed, so that there is something to lag behind."""
    connection.execute("SELECT pg_current_xact_id()")
    return True
