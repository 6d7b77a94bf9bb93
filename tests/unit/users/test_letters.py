"""Letters to users: every one in every language, whatever people are called and wherever it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from jinja2 import DictLoader, UndefinedError, meta

from libs.mail import Letter
from services.users.accounts.adapters import letters
from services.users.accounts.rules import user
from services.users.accounts.rules.user import User

LETTERS: dict[str, Callable[[User], Letter]] = {"welcome": letters.welcome}
TEMPLATES = letters.ENVIRONMENT.list_templates()
VALUES = {"full_name", "email", "user_id"}

_WRITE = """
from datetime import UTC, datetime
from uuid import UUID
from services.users.accounts.rules import user
from services.users.accounts.adapters.letters import welcome
ana = user.register("ana@example.com", "Ana", "", "pt-MZ", datetime.now(UTC), user_id=UUID(int=0))
print(ascii(welcome(ana).text))
"""


def person(full_name: str = "Ana Sitoe", locale: str = "en") -> User:
    return user.register("ana@example.com", full_name, "", locale, datetime.now(UTC), user_id=UUID(int=7))


def test_every_letter_has_all_its_parts_in_every_language() -> None:
    expected = {
        f"{letter}.{language}.{part}"
        for letter in LETTERS
        for language in letters.LANGUAGES
        for part in ("subject", "txt", "html")
    }
    assert set(TEMPLATES) == expected


@pytest.mark.parametrize("language", sorted(letters.LANGUAGES))
@pytest.mark.parametrize("name", LETTERS)
def test_every_letter_can_be_written_in_every_language(name: str, language: str) -> None:
    letter = LETTERS[name](person(locale=language))
    assert letter.key == f"{name}.usr_00000000000000000000000007"
    assert letter.subject
    assert f'<html lang="{language}">' in letter.html
    for text in (letter.text, letter.html):
        assert "Ana Sitoe" in text
        assert "ana@example.com" in text
        assert "{{" not in text
        assert text.endswith("\n")


@pytest.mark.parametrize("template", TEMPLATES)
def test_template_asks_for_nothing_that_a_letter_lacks(template: str) -> None:
    loader = letters.ENVIRONMENT.loader
    assert loader is not None
    source, _, _ = loader.get_source(letters.ENVIRONMENT, template)
    assert meta.find_undeclared_variables(letters.ENVIRONMENT.parse(source)) <= VALUES


def with_templates(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    """Let the English welcome have that subject, and nothing in it."""
    templates = {"welcome.en.subject": subject, "welcome.en.txt": "", "welcome.en.html": ""}
    monkeypatch.setattr(letters, "ENVIRONMENT", letters.ENVIRONMENT.overlay(loader=DictLoader(templates)))


def test_missing_value_is_an_error_and_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    with_templates(monkeypatch, "Dear {{ first_name }}")
    with pytest.raises(UndefinedError, match="first_name"):
        letters.welcome(person())


def test_subject_is_one_line_whatever_people_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    with_templates(monkeypatch, "Welcome,\n{{ full_name }}\n")
    ana = replace(person(), full_name="Ana\r\nBcc: all@example.com\u2028\x85x")
    subject = letters.welcome(ana).subject
    assert subject == "Welcome, Ana Bcc: all@example.com x"


@pytest.mark.parametrize("language", sorted(letters.LANGUAGES))
@pytest.mark.parametrize("full_name", ['<b>Ana</b> & "Bé" O\'Neill', "{{ email }}", "{% raw %}", "$email"])
def test_name_is_plain_in_text_and_never_read_as_html(full_name: str, language: str) -> None:
    letter = letters.welcome(person(full_name, language))
    assert f" {full_name}," in letter.text
    assert "<b>Ana" not in letter.html
    escaped = full_name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f" {escaped.replace(chr(34), '&#34;').replace(chr(39), '&#39;')}," in letter.html


@pytest.mark.parametrize(
    ("locale", "subject"),
    [
        ("pt-MZ", "Bem-vindo à Bazaruto"),
        ("PT_br", "Bem-vindo à Bazaruto"),
        ("en-GB", "Welcome to Bazaruto"),
        ("de-CH", "Welcome to Bazaruto"),
        ("", "Welcome to Bazaruto"),
    ],
)
def test_letter_is_in_the_language_of_the_user_or_in_english(locale: str, subject: str) -> None:
    assert letters.welcome(person(locale=locale)).subject == subject


def test_letter_does_not_depend_on_the_encoding_of_the_machine() -> None:
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", _WRITE]
    written = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert "a sua conta na Bazaruto est\\xe1 pronta" in written.stdout, written.stderr
    assert "fechamos" not in written.stdout
