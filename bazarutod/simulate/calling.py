"""People who use the platform over HTTP: customers and staff, each with an account and tokens of their own."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]

_AGAIN = (429, 499, 502, 503, 504)
_PATIENCE = 60.0  # seconds, for a call that is answered by none of them


class Broken(Exception):
    """The platform answered as it never should; the message says what was asked and what came."""


class Refused(Exception):
    """The platform refused a call by a rule of its own."""

    def __init__(self, reason: str, about: Json, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.about = about


@dataclass
class Caller:
    """Somebody with an account, who repeats a call with its key until it is answered."""

    http: httpx.Client
    email: str
    password: str
    token: str = ""
    user_id: str = ""

    def register(self, full_name: str) -> None:
        """Sign up and log in."""
        account = {"email": self.email, "password": self.password, "fullName": full_name}
        self._send("POST", "/v1/users", account, "")
        self.log_in()

    def log_in(self) -> None:
        """Get new tokens, with what the user may do as of now."""
        answer = self._send("POST", "/v1/auth/login", {"email": self.email, "password": self.password}, "")
        self.token, self.user_id = answer["accessToken"], answer["userId"]

    def get(self, path: str, **query: Any) -> Json:
        """Read a resource."""
        return self.call("GET", path, query=query)

    def pages(self, path: str, name: str, **query: Any) -> Iterator[Json]:
        """All items of a list, page by page, as long as the caller goes on."""
        token = ""
        while True:
            page = self.get(path, pageSize=100, **query, **({"pageToken": token} if token else {}))
            yield from page.get(name, [])
            token = page.get("nextPageToken", "")
            if not token:
                return

    def post(self, path: str, body: Json) -> Json:
        """Do something. `Refused` when a rule of the platform is against it."""
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> Json:
        """One call, whose caller logs in again when the token is too old."""
        key = "" if method == "GET" else secrets.token_hex(16)
        try:
            return self._send(method, path, body, key, query)
        except Refused as refused:
            if refused.reason != "TOKEN_INVALID":
                raise
        self.log_in()
        return self._send(method, path, body, key, query)

    def _send(self, method: str, path: str, body: Json | None, key: str, query: Json | None = None) -> Json:
        headers = {"authorization": f"Bearer {self.token}"} if self.token and "/auth/" not in path else {}
        if key:
            headers["idempotency-key"] = key
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = self._ask(method, path, body, headers, query)
            if answer is not None and answer.is_success:
                return dict(answer.json())
            text = f"{method} {path}: " + (f"{answer.status_code} {answer.text}" if answer is not None else "no answer")
            is_passing = answer is None or answer.status_code in _AGAIN or "IDEMPOTENCY_KEY_IN_USE" in answer.text
            if not is_passing and answer is not None and answer.status_code < 500:
                raise _refused(answer, text)
            if not is_passing or time.monotonic() > deadline:
                raise Broken(text)
            time.sleep(0.1)

    def _ask(self, method: str, path: str, body: Json | None, headers: Json, query: Json | None) -> Any:
        try:
            return self.http.request(method, path, json=body, headers=headers, params=query or None)
        except httpx.TransportError:
            return None


def _refused(answer: httpx.Response, text: str) -> Exception:
    details = answer.json().get("error", {}).get("details", [])
    detail = next((item for item in details if "reason" in item), None)
    return Refused(detail["reason"], detail.get("metadata", {}), text) if detail else Broken(text)
