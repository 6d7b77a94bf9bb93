"""How a letter is written down, and what a mailer refuses to begin with."""

from __future__ import annotations

import smtplib
from dataclasses import replace
from email.headerregistry import Address

import pytest

from libs.config import MailSettings
from libs.mail import Letter, Mailer, MailRefused, _words_of, compose
from tests.support.sections import section

SENDER = Address("Bazaruto", addr_spec="no-reply@bazaruto.com")
LETTER = Letter("welcome.usr_1", "Ana Sitoe", "ana@example.com", "Hello", "Hello.", "<p>Hello.</p>")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Ana\r\nBcc: evil@example.com"},
        {"name": "Ana\nX"},
        {"subject": "Hello\r\nBcc: evil@example.com"},
        {"email": "ana@example.com\r\nBcc: evil@example.com"},
        {"email": "ana@example.com, evil@example.com"},
        {"email": "nobody"},
        {"email": ""},
    ],
)
def test_no_field_can_add_a_header_or_a_recipient(changes: dict[str, str]) -> None:
    with pytest.raises(MailRefused, match="cannot be written"):
        compose(replace(LETTER, **changes), SENDER)


def test_name_that_looks_like_addresses_stays_a_name() -> None:
    message = compose(replace(LETTER, name='A" <evil@example.com>, "b'), SENDER)
    assert [address.addr_spec for address in message["To"].addresses] == ["ana@example.com"]
    assert b"\r\nBcc:" not in message.as_bytes()


def test_what_the_server_says_is_told_on_one_line() -> None:
    assert _words_of(smtplib.SMTPResponseException(550, b"no such\nuser here")) == "550 no such user here"


def test_letters_body_cannot_end_it_early() -> None:
    message = compose(replace(LETTER, text="one\n.\ntwo"), SENDER)
    assert message.get_body(("plain",)).get_content() == "one\n.\ntwo\n"  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["password_file", "ca_file"])
def test_file_that_is_missing_stops_the_start_with_the_key_named(key: str) -> None:
    own = {"host": "mail.example.com", "username": "mailer", "password_file": "/dev/null", key: "/nowhere"}
    settings = section(MailSettings, **own)
    with pytest.raises(ValueError, match=f"mail.{key}: /nowhere cannot be read"):
        Mailer(settings)
