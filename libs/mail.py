"""Letters to people, over SMTP. One connection for each letter: a job sends one, and jobs are few.

Sending the same letter twice cannot be ruled out: the server may take it and the answer be lost. So its `Message-ID`
is made of what the letter is about, and whoever gets both can see that they are one.
"""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Final

import structlog

from libs import clock
from libs.config import MailSettings
from libs.jobs import GiveUp

log = structlog.get_logger("mail")

_PERMANENT: Final = 500  # replies from here on mean: not now, and not later


class MailRefused(GiveUp):
    """The server will not take this letter, now or later."""


class MailNotSent(ConnectionError):
    """The letter could not be sent now; later it may."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody is to read, in plain text and as HTML.

    `key` is what the letter is about, unique for ever: `welcome.usr_…`.
    """

    key: str
    name: str
    email: str
    subject: str
    text: str
    html: str


class Mailer:
    """Sends letters through the server of the settings; without one, says that it sends none."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        name, email = parseaddr(settings.from_)
        self._sender = Address(name, addr_spec=email)
        self._password = ""
        self._context: ssl.SSLContext | None = None
        if settings.host:
            self._password = _read("password_file", settings.password_file).strip()
            if settings.tls != "none":
                self._context = ssl.create_default_context(cadata=_read("ca_file", settings.ca_file) or None)
        else:
            log.warning("mail is off: mail.host is empty, so no letter will be sent")

    def send(self, letter: Letter) -> None:
        """Send it. `MailNotSent` when it may work later, `MailRefused` when it never will."""
        if not self._settings.host:
            log.warning("mail is off: letter not sent", letter=letter.key)
            return
        message = compose(letter, self._sender)
        try:
            server = self._connected()
            try:
                refusal = _hand_over(server, message)
            finally:
                with suppress(smtplib.SMTPException, OSError):  # whatever it says now, the letter was decided on
                    server.quit()
        except (smtplib.SMTPException, OSError) as error:
            raise MailNotSent(f"the mail server cannot be used now: {_words_of(error)}") from error
        if refusal is not None:
            raise MailRefused(f"the mail server refuses the letter: {_words_of(refusal)}") from refusal
        log.info("letter sent", letter=letter.key, message_id=message["Message-ID"])

    def _connected(self) -> smtplib.SMTP:
        """A connection on which letters are taken: secured and logged in, as the settings want it."""
        settings = self._settings
        seconds = settings.timeout.total_seconds()
        if settings.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=seconds, context=self._context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=seconds)
        try:
            server.ehlo_or_helo_if_needed()
            if settings.tls == "starttls":
                server.starttls(context=self._context)
            if settings.username:
                server.login(settings.username, self._password)
        except BaseException:
            server.close()
            raise
        return server


def _hand_over(server: smtplib.SMTP, message: EmailMessage) -> smtplib.SMTPException | None:
    """Give the server the letter. Returns why it refuses for good, if it does.

    A refused log-in is no refusal of the letter: the password can be mended, and the letter sent then.
    """
    try:
        server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        if all(code >= _PERMANENT for code, _ in error.recipients.values()):
            return error
        raise
    except smtplib.SMTPNotSupportedError as error:
        return error  # the address needs an extension that the server lacks
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= _PERMANENT:
            return error
        raise
    return None


def compose(letter: Letter, sender: Address) -> EmailMessage:
    """The message as it goes over the wire. No field can add a header: a line break in one is refused.

    `MailRefused` when the letter cannot be written down.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = sender
        message["To"] = Address(letter.name, addr_spec=letter.email)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(clock.real_now())
        message["Message-ID"] = f"<{letter.key}@{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # nobody's holiday notice answers it
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
    except (ValueError, IndexError, AttributeError) as error:
        raise MailRefused(f"the letter {letter.key!r} cannot be written: {error}") from error
    return message


def _read(key: str, path: str) -> str:
    try:
        return Path(path).read_text() if path else ""
    except OSError as error:
        raise ValueError(f"mail.{key}: {path} cannot be read: {error.strerror}") from error


def _words_of(error: Exception) -> str:
    """The server's own words, on one line. They may repeat the address that it refuses."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        text = "; ".join(f"{code} {words.decode(errors='replace')}" for code, words in error.recipients.values())
    elif isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        text = f"{error.smtp_code} {words.decode(errors='replace') if isinstance(words, bytes) else words}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())
