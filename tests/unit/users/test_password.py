"""Passwords: long enough, not common, and hashed whole."""

from __future__ import annotations

import threading
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.errors import FieldInvalid
from services.users.accounts.adapters.common_passwords import common_passwords
from services.users.accounts.adapters.hashing import Hasher, HashingBusy
from services.users.accounts.rules import password
from services.users.accounts.rules.password import PasswordTooCommon, check_password

EMAIL = "ana.sitoe@example.com"
GOOD = "baobab-carrinha-47"


@pytest.fixture(scope="module")
def hasher() -> Hasher:
    """Cheap parameters: what is tested is not how hard they are."""
    return Hasher(memory=8, rounds=1)


@pytest.mark.parametrize("length", [0, 1, 7, 257, 5000])
def test_password_of_less_than_8_or_more_than_256_characters_is_refused(length: int) -> None:
    with pytest.raises(FieldInvalid) as refused:
        check_password("é" * length, EMAIL, common_passwords())
    assert list(refused.value.violations) == ["password"]


@pytest.mark.parametrize("length", [8, 64, 256])
def test_length_counts_characters_and_not_bytes(length: int) -> None:
    check_password("é🦩" * (length // 2), EMAIL, common_passwords())


@pytest.mark.parametrize(
    "common",
    [
        "password", "password1", "12345678", "123456789", "qwerty123", "iloveyou", "sunshine", "princess",
        "football", "baseball", "trustno1", "1q2w3e4r", "1qaz2wsx", "qwertyuiop", "passw0rd", "welcome1", "letmein1",
        "superman", "starwars", "aaaaaaaa", "admin123", "changeme", "summer2024!", "michael1",
    ],
)  # fmt: skip
def test_common_password_is_refused_in_any_case(common: str) -> None:
    for variant in (common, common.upper(), common.capitalize()):
        with pytest.raises(PasswordTooCommon):
            check_password(variant, EMAIL, common_passwords())


def test_list_is_folded_unique_and_holds_at_least_3000_possible_passwords() -> None:
    listed = common_passwords()
    assert len(listed) >= 3000
    assert all(entry == password.normalise(entry).casefold() and len(entry) >= password.SHORTEST for entry in listed)


@pytest.mark.parametrize("own", [EMAIL, EMAIL.upper(), "ana.sitoe"])
def test_own_address_is_no_password(own: str) -> None:
    with pytest.raises(PasswordTooCommon):
        check_password(own, EMAIL, common_passwords())


@pytest.mark.parametrize(
    "good", [GOOD, "tree frog lamp rocket", "пароль-и-каша", "        x", "日本語のパスワード", "a" * 7 + "\0b"]
)
def test_other_passwords_need_no_kinds_of_characters(good: str) -> None:
    check_password(good, EMAIL, common_passwords())


def test_password_matches_its_own_hash_only(hasher: Hasher) -> None:
    hashed = hasher.hash(GOOD)
    assert hasher.matches(GOOD, hashed)
    assert not hasher.matches(GOOD + "x", hashed)
    assert not hasher.matches(GOOD.upper(), hashed)


def test_last_of_256_characters_counts(hasher: Hasher) -> None:
    hashed = hasher.hash("a" * 255 + "b")
    assert not hasher.matches("a" * 255 + "c", hashed)


def test_what_stands_behind_a_zero_character_counts(hasher: Hasher) -> None:
    assert not hasher.matches("12345678\0x", hasher.hash("12345678\0y"))


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40))
def test_password_is_the_same_however_a_keyboard_composes_it(hasher: Hasher, text: str) -> None:
    hashed = hasher.hash(unicodedata.normalize("NFC", text))
    assert hasher.matches(unicodedata.normalize("NFD", text), hashed)


def test_equal_passwords_have_different_hashes(hasher: Hasher) -> None:
    assert hasher.hash(GOOD) != hasher.hash(GOOD)


def test_nobody_has_a_password(hasher: Hasher) -> None:
    assert not hasher.matches(GOOD, None)


def test_default_parameters_are_what_owasp_advises() -> None:
    assert Hasher().hash(GOOD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_hash_of_weaker_parameters_is_outdated(hasher: Hasher) -> None:
    assert Hasher(memory=16, rounds=1).is_outdated(hasher.hash(GOOD))
    assert not hasher.is_outdated(hasher.hash(GOOD))


def test_no_more_hashes_are_made_at_once_than_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    busy = Hasher(memory=8, rounds=1)
    monkeypatch.setattr("libs.rpc.calls.seconds_left", lambda: 0.01)
    release, entered = threading.Event(), threading.Barrier(3)

    def occupy() -> None:
        with busy._core():
            entered.wait(5)
            release.wait(5)

    holders = [threading.Thread(target=occupy) for _ in range(2)]
    for holder in holders:
        holder.start()
    entered.wait(5)
    with pytest.raises(HashingBusy):
        busy.hash(GOOD)
    release.set()
    for holder in holders:
        holder.join()
    assert busy.hash(GOOD)
