"""Where notifications arrive: a server that takes what Slack and the pager would get, and one that takes mail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bazarutod.ports import free_port


@dataclass(frozen=True)
class Received:
    """A notification, and when it arrived."""

    at: float
    to: str
    content: dict[str, Any]

    def __contains__(self, text: str) -> bool:
        return text in json.dumps(self.content)


@dataclass
class Inbox:
    """Everything that arrived, of all kinds."""

    http_port: int
    smtp_port: int
    received: list[Received] = field(default_factory=list)

    def take(self, to: str, content: dict[str, Any]) -> None:
        """Keep a notification."""
        self.received.append(Received(time.time(), to, content))

    def first(self, to: str, text: str, since: float, seconds: float) -> Received:
        """The first notification with that text after a moment; waited for."""
        deadline = time.time() + seconds
        while True:
            for received in list(self.received):
                if received.to == to and received.at >= since and text in received:
                    return received
            assert time.time() < deadline, f"nothing with {text!r} came to {to}: {[r.to for r in self.received]}"
            time.sleep(0.1)


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """Receive within."""
    inbox = Inbox(free_port(), free_port())
    server = ThreadingHTTPServer(("127.0.0.1", inbox.http_port), _handler(inbox.take))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    mail = Controller(_Mail(inbox.take), hostname="127.0.0.1", port=inbox.smtp_port)
    mail.start()
    try:
        yield inbox
    finally:
        mail.stop()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(take: Callable[[str, dict[str, Any]], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            take(self.path.strip("/"), json.loads(body))
            answer = b"ok" if self.path == "/slack" else b'{"status": "success"}'
            self.send_response(200 if self.path == "/slack" else 202)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class _Mail:
    def __init__(self, take: Callable[[str, dict[str, Any]], None]) -> None:
        self._take = take

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.content or b"")  # type: ignore[arg-type]
        self._take(
            "mail",
            {
                "from": message["From"],
                "to": message["To"],
                "recipients": envelope.rcpt_tos,
                "subject": message["Subject"],
                "text": _text_of(message),
            },
        )
        return "250 OK"


def _text_of(message: Message) -> str:
    """The plain text of a mail."""
    parts = [part for part in message.walk() if part.get_content_type() == "text/plain"]
    assert parts, f"the mail has no plain text: {message}"
    content = parts[0].get_payload(decode=True)
    assert isinstance(content, bytes)
    return content.decode()
