"""The letter that a new customer gets: through the queue, over real SMTP, and what becomes of it when that fails."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme

from libs.config import DbSettings, JobSettings, MailSettings
from libs.db import Database
from libs.jobs import JobRunner
from libs.mail import Letter, Mailer, MailNotSent
from services.users.accounts import jobs
from tests.integration.users.house import House
from tests.integration.users.test_accounts import outcome
from tests.support.letterbox import Letterbox
from tests.support.sections import section

LETTER = Letter("welcome.usr_1", "Ana", "ana@example.com", "Hello", "Hello.", "<p>Hello.</p>")


@pytest.fixture
def letterbox() -> Letterbox:
    """A mail server that is not open yet."""
    return Letterbox()


@pytest.fixture
def work(house: House, letterbox: Letterbox) -> Iterator[Callable[..., list[tuple[str, int]]]]:
    """`work()` runs the worker once, whatever the jobs wait for; gives the state and the tries of each letter."""
    database = Database(house.url, section(DbSettings), "test-worker")
    database.open()

    def run(**changes: Any) -> list[tuple[str, int]]:
        settings = mail_settings(letterbox, **changes)
        runner = JobRunner(house.url, section(JobSettings, retry_wait=timedelta(seconds=30)), "test-worker")
        jobs.register(runner, database, Mailer(settings))
        house.sql("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'")
        runner.run_due()
        return [
            (state, attempts)
            for state, attempts in house.sql(
                "SELECT status::text, attempts FROM procrastinate_jobs WHERE queue_name = 'mailers' ORDER BY id"
            )
        ]

    yield run
    database.close()


def mail_settings(letterbox: Letterbox, **changes: Any) -> MailSettings:
    own = {"host": "127.0.0.1", "port": letterbox.port, "tls": "none", "timeout": "3s"}
    return section(MailSettings, **own | changes)


def part(letter: EmailMessage, kind: str) -> str:
    """The text of one alternative of a letter."""
    alternative = letter.get_body((kind,))
    assert alternative is not None
    return str(alternative.get_content())


def test_new_customer_is_welcomed_in_two_forms(house: House, letterbox: Letterbox, work: Any) -> None:
    user = house.register("ana@example.com", full_name="Ana <b>Sitoe</b>")
    with letterbox.open():
        assert work() == [("succeeded", 1)]
    (letter,) = letterbox.letters
    assert letterbox.recipients == [["ana@example.com"]]
    assert letter["Subject"] == "Welcome to Bazaruto"
    assert letter["From"] == "Bazaruto <no-reply@bazaruto.com>"
    assert letter["Message-ID"] == f"<welcome.{user.user_id}@bazaruto.com>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "Dear Ana <b>Sitoe</b>," in part(letter, "plain")
    assert "Dear Ana &lt;b&gt;Sitoe&lt;/b&gt;," in part(letter, "html")
    assert user.user_id in part(letter, "html")


def test_letter_is_in_the_language_of_the_customer(house: House, letterbox: Letterbox, work: Any) -> None:
    house.register(locale="pt-MZ", full_name="João Çubango")
    house.register(locale="de-CH")
    with letterbox.open():
        work()
    # Two jobs run side by side, so that either letter may be the first.
    letters = {str(letter["Subject"]): letter for letter in letterbox.letters}
    assert set(letters) == {"Bem-vindo à Bazaruto", "Welcome to Bazaruto"}
    assert "João Çubango" in part(letters["Bem-vindo à Bazaruto"], "plain")
    assert "João Çubango" in letters["Bem-vindo à Bazaruto"]["To"]


def test_registration_that_fails_sends_nothing(house: House, work: Any) -> None:
    house.register("ana@example.com")
    assert outcome(house.register, "ana@example.com") == "EMAIL_TAKEN"
    assert house.sql("SELECT task_name, queue_name FROM procrastinate_jobs") == [("users.send_welcome", "mailers")]


def test_job_knows_the_customer_by_number_only(house: House) -> None:
    house.register("ana@example.com", full_name="Ana Sitoe")
    ((arguments,),) = house.sql("SELECT args FROM procrastinate_jobs")
    assert set(arguments) <= {"user_id", "_trace"}


def test_letter_is_sent_again_after_a_reply_that_says_later(house: House, letterbox: Letterbox, work: Any) -> None:
    house.register()
    letterbox.replies = ["451 try again later"]
    with letterbox.open():
        assert work() == [("todo", 1)]
        ((waits,),) = house.sql(
            "SELECT scheduled_at > now() + interval '20 s' FROM procrastinate_jobs"
            " WHERE task_name = 'users.send_welcome'"
        )
        assert waits
        assert work() == [("succeeded", 2)]
    assert len(letterbox.letters) == 1


@pytest.mark.parametrize("reply", ["", "550 no such mailbox"])
def test_letter_that_is_refused_for_good_is_not_sent_again(
    house: House, letterbox: Letterbox, work: Any, reply: str
) -> None:
    house.register()
    letterbox.reply_to_recipient = reply
    letterbox.replies = ["554 we do not want it"]
    with letterbox.open():
        assert work() == [("failed", 1)]
    assert letterbox.letters == []


def test_recipient_that_is_refused_for_now_is_tried_again(house: House, letterbox: Letterbox, work: Any) -> None:
    house.register()
    letterbox.reply_to_recipient = "450 mailbox busy"
    with letterbox.open():
        assert work() == [("todo", 1)]
        letterbox.reply_to_recipient = ""
        assert work() == [("succeeded", 2)]


def test_letter_waits_until_the_server_is_back(house: House, letterbox: Letterbox, work: Any) -> None:
    house.register()
    assert work() == [("todo", 1)]
    with letterbox.open():
        assert work() == [("succeeded", 2)]
    assert len(letterbox.letters) == 1


def test_second_sending_is_recognised_by_its_number(house: House, letterbox: Letterbox, work: Any) -> None:
    house.register()
    with letterbox.open():
        work()
        house.sql("UPDATE procrastinate_jobs SET status = 'todo'")
        work()
    first, second = letterbox.letters
    assert first["Message-ID"] == second["Message-ID"]


def test_without_a_server_the_log_says_that_nothing_is_sent(house: House, work: Any) -> None:
    house.register()
    with structlog.testing.capture_logs() as lines:
        assert work(host="") == [("succeeded", 1)]
    assert [line["event"] for line in lines if "mail is off" in line["event"]] == [
        "mail is off: mail.host is empty, so no letter will be sent",
        "mail is off: letter not sent",
    ]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the server's certificate."""
    return trustme.CA()


@pytest.fixture
def secured(authority: trustme.CA, tmp_path: Path) -> dict[str, Any]:
    """What the server needs, and the files that the mailer reads."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "password").write_text("s3cret\n")
    files = {"ca_file": str(tmp_path / "ca.pem"), "username": "mailer", "password_file": str(tmp_path / "password")}
    return {"context": context, "files": files}


def test_letter_goes_over_starttls_with_a_log_in(letterbox: Letterbox, secured: dict[str, Any]) -> None:
    with letterbox.open(secured["context"], login=("mailer", "s3cret")):
        Mailer(mail_settings(letterbox, tls="starttls", **secured["files"])).send(LETTER)
    assert letterbox.secured == [True]


def test_letter_goes_over_tls_from_the_first_byte(letterbox: Letterbox, secured: dict[str, Any]) -> None:
    ca_file = secured["files"]["ca_file"]
    with letterbox.open(secured["context"], implicit=True):
        Mailer(mail_settings(letterbox, tls="tls", ca_file=ca_file)).send(LETTER)
    assert len(letterbox.letters) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_certificate_of_a_stranger_gets_no_letter(letterbox: Letterbox, secured: dict[str, Any], tls: str) -> None:
    with letterbox.open(secured["context"], implicit=tls == "tls"), pytest.raises(MailNotSent, match="certificate"):
        Mailer(mail_settings(letterbox, tls=tls)).send(LETTER)
    assert letterbox.letters == []


def test_wrong_password_is_tried_again_for_it_may_be_mended(letterbox: Letterbox, secured: dict[str, Any]) -> None:
    with (
        letterbox.open(secured["context"], login=("mailer", "another")),
        pytest.raises(MailNotSent, match="535") as caught,
    ):
        Mailer(mail_settings(letterbox, tls="starttls", **secured["files"])).send(LETTER)
    assert "s3cret" not in str(caught.value)


def test_server_that_offers_no_tls_gets_no_letter(letterbox: Letterbox) -> None:
    with letterbox.open(), pytest.raises(MailNotSent):
        Mailer(mail_settings(letterbox, tls="starttls")).send(LETTER)
    assert letterbox.letters == []
