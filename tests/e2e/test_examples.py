"""Every example that the reference shows can be sent as it stands: it is taken, or refused for what it names only."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from tests.support.admins import admin_headers
from tests.support.platform import Platform

pytestmark = pytest.mark.xdist_group("platform")

# Examples name things that nobody has, and tokens that nobody was given; none of them is malformed.
REFUSALS = {"RESOURCE_NOT_FOUND", "ROLE_MISSING", "CREDENTIALS_INVALID", "REFRESH_TOKEN_INVALID", "EMAIL_TAKEN"}
# Calls of one role, which an administrator does not have; their examples are checked against the contracts alone.
NOT_FOR_ADMINS = {
    "DelinquencyService_ResumeDelinquency",
    "DelinquencyService_SuspendDelinquency",
    "PolicyService_SetPayer",
    "PolicyService_TransferPolicy",
    "QuoteService_DecideReferral",
    "QuoteService_RequestQuoteInformation",
}


@pytest.fixture(scope="module")
def http(platform: Platform) -> Iterator[httpx.Client]:
    """An administrator's client, who may call most."""
    with httpx.Client(base_url=platform.url, timeout=30) as client:
        client.headers.update(admin_headers(platform.environment, client))
        yield client


def test_every_example_of_the_reference_can_be_sent(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    refused = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.endswith(":watch"):  # a stream, which would be waited for
                continue
            answer = _send(http, method, path, operation)
            reason = "" if answer.is_success else _reason(answer)
            if reason == "ACCESS_DENIED" and operation["operationId"] in NOT_FOR_ADMINS:
                continue
            if answer.is_error and reason not in REFUSALS:
                refused[operation["operationId"]] = f"{answer.status_code} {answer.text}"
    assert refused == {}


def _send(http: httpx.Client, method: str, path: str, operation: dict[str, Any]) -> httpx.Response:
    query = {}
    for parameter in operation["parameters"]:
        if "example" not in parameter:
            continue
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(str(parameter["example"]), safe=""))
        else:
            example = parameter["example"]
            query[parameter["name"]] = str(example).lower() if isinstance(example, bool) else example
    address = f"{path}?{urlencode(query, doseq=True)}" if query else path
    body = operation.get("requestBody", {"content": {}})["content"].get("application/json", {}).get("example")
    headers = {"idempotency-key": secrets.token_hex(16)} if method != "get" else {}
    return http.request(method, address, json=body, headers=headers)


def _reason(answer: httpx.Response) -> str:
    details = answer.json()["error"]["details"]
    return next((detail["reason"] for detail in details if "reason" in detail), json.dumps(details))
