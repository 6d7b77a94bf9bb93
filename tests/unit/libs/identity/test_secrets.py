"""Secrets are known by their names, by everything that shows or keeps values; their files are whole and closed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from libs import audit
from libs.identity.secrets import is_secret, read_secret, write_secret
from libs.jobs.operating import JobRow

SECRET = """
    password PASSWORD new_password passwordHash password_hash db-password PassWord password2 smtp.password
    password_changed_at
    secret client_secret clientSecret secrets API_SECRET
    token Token refresh_token refreshToken APIToken token_id tokens pushTokens2
    hash hashes content_hash
    card cards card_number cardToken CardNumber card_last4 credit_card scoreCard
    payment_method paymentMethod payment_methods PAYMENT_METHOD paymentMethodId paymentmethod
""".split()
HARMLESS = """
    email user_id policy_id reason amount decline_code
    scorecard discard_reason discarded cardinality cardiology_report cardiff
    tokenised_at tokenized secretary secretariat hashtag hashed_at rehash_needed
    payment method payment_id method_of_payment payment_schedule_method
""".split()


@pytest.mark.parametrize("name", SECRET)
def test_secret_is_neither_shown_with_a_job_nor_kept_by_the_audit_log(name: str) -> None:
    assert is_secret(name)
    assert a_job(**{name: "hush"}).arguments == {name: "***"}
    for where in ({"before": {name: "hush"}}, {"after": {name: "hush"}}, {name: "hush"}):
        with pytest.raises(ValueError, match=f"would keep {name}"):
            audit.record(Session(), "user_created", "usr_1", **where)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_no_secret_is_shown(name: str) -> None:
    assert not is_secret(name)
    assert a_job(**{name: "seen"}).arguments == {name: "seen"}


def a_job(**arguments: str) -> JobRow:
    return JobRow(1, "default", "test.note", "todo", 0, 0, None, None, dict(arguments), False, None, None, None)


def test_secret_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_descriptor: int) -> None:
        raise InterruptedError

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", crash)
        with pytest.raises(InterruptedError):
            write_secret(tmp_path / "internal", b"s" * 64)
    assert not (tmp_path / "internal").exists()
    write_secret(tmp_path / "internal", b"s" * 64)
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("internal", 0o400)]
    assert read_secret(tmp_path / "internal") == b"s" * 64
