"""A real SMTP server on loopback that keeps what it is given, and refuses when it is told to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from bazarutod.ports import free_port


class Letterbox:
    """What arrived, and what is answered next: `replies` are given one after the other before letters are taken."""

    def __init__(self) -> None:
        self.port = free_port()
        self.letters: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.secured: list[bool] = []
        self.replies: list[str] = []
        self.reply_to_recipient = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.reply_to_recipient:
            return self.reply_to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.replies:
            return self.replies.pop(0)
        content = cast(bytes, envelope.content)
        self.letters.append(BytesParser(policy=default).parsebytes(content))
        self.recipients.append(list(envelope.rcpt_tos))
        self.secured.append(session.ssl is not None)
        return "250 kept"

    @contextmanager
    def open(
        self, context: ssl.SSLContext | None = None, *, implicit: bool = False, login: tuple[str, str] | None = None
    ) -> Iterator[Letterbox]:
        """Take letters within; with a context over TLS, with a log-in only from who knows it (after STARTTLS)."""
        options: dict[str, Any] = {"hostname": "127.0.0.1", "port": self.port}
        if context and implicit:
            options["ssl_context"] = context
        elif context:
            options |= {"tls_context": context, "require_starttls": True}
        if login:

            def check(
                server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: Any
            ) -> AuthResult:
                given = (credentials.login, credentials.password) if isinstance(credentials, LoginPassword) else None
                return AuthResult(success=given == tuple(part.encode() for part in login), handled=False)

            options |= {"authenticator": check, "auth_required": True}
        controller = Controller(self, **options)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()
