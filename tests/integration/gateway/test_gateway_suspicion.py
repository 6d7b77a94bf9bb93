"""Attacks on a real gateway: each is counted once, and nothing else is."""

from __future__ import annotations

import httpx

_METRIC = "bazaruto_suspicious_requests_total"


def counted(client: httpx.Client) -> float:
    """The counter as Prometheus reads it."""
    [line] = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{_METRIC} ")]
    return float(line.split()[1])


def test_attacks_are_counted_and_mistakes_are_not(client: httpx.Client) -> None:
    before = counted(client)
    for path in ("/.env", "/v1/books/x?q=%27%20or%201=1", "/v1/nothing/..%2f..%2fetc%2fpasswd"):
        assert client.get(path).status_code in (400, 404)
    assert client.get("/nothing", headers={"x-user-id": "1"}).status_code == 404
    assert counted(client) - before == 4
    assert client.get("/nothing").status_code == 404
    assert client.post("/v1/books", json={"titel": "x"}).status_code == 400
    assert client.get("/v1/books/b1", headers={"x-user-id": "1"}).status_code == 200  # dropped, and did no harm
    assert counted(client) - before == 4
