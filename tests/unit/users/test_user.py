"""Accounts: what a new one looks like, and what its owner may change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import FieldInvalid
from services.users.accounts.rules import user
from services.users.accounts.rules.user import CHANGEABLE, Role, State, User, UserDisabled

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

names = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=200).filter(str.strip)
changes_of_a_user = st.dictionaries(st.sampled_from(CHANGEABLE), names)


def new_user(email: str = "ana@example.com", full_name: str = "Ana Sitoe") -> User:
    return user.register(email, full_name, "+258841234567", "pt-MZ", NOW, user_id=UUID(int=1))


def test_new_user_is_an_active_customer() -> None:
    ana = new_user()
    assert (ana.roles, ana.state, ana.version) == ((Role.CUSTOMER,), State.ACTIVE, 1)
    assert ana.created_at == ana.updated_at == NOW
    ana.check_active()


def test_email_is_kept_in_lower_case() -> None:
    assert new_user("Ana.SITOE@Example.COM").email == "ana.sitoe@example.com"


@given(st.emails())
def test_every_address_is_the_same_in_any_case(address: str) -> None:
    if address.isascii() and len(address) <= 254:
        assert user.normalise_email(address.upper()) == user.normalise_email(address)


@pytest.mark.parametrize(
    "text", ["", "ana", "@", "ana@", "@example.com", "a@b@c", "a b@c.d", "ana@example.com\n", "a\0@b.c", "ána@b.c"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        user.normalise_email(text)
    assert list(refused.value.violations) == ["email"]


def test_address_has_at_most_254_characters() -> None:
    assert user.normalise_email("a" * 248 + "@bc.de")
    with pytest.raises(FieldInvalid):
        user.normalise_email("a" * 249 + "@bc.de")


@pytest.mark.parametrize(
    "full_name", ["", "   ", "\u200b", "Ana\nSitoe", "Ana\u2028Sitoe", "Ana\0", "Ana\x1b[31m", "\u202eana", "a" * 201]
)
def test_name_is_one_visible_line_of_at_most_200_characters(full_name: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        new_user(full_name=full_name)
    assert list(refused.value.violations) == ["full_name"]


@pytest.mark.parametrize(
    "full_name", ["Ana", "José María", "李小龍", "نرگس\u200cخانم", "O'Brien-Smith, Jr.", "a" * 200, "<b>Ana</b>"]
)
def test_name_is_kept_as_it_is_written(full_name: str) -> None:
    assert new_user(full_name=full_name).full_name == full_name


@given(changes_of_a_user.filter(bool))
def test_only_the_named_fields_change(changes: dict[str, str]) -> None:
    before = new_user()
    after = user.update(before, changes, LATER)
    for name in ("id", "email", "roles", "state", "created_at", *CHANGEABLE):
        assert getattr(after, name) == changes.get(name, getattr(before, name))


def test_change_makes_a_new_version_and_a_new_etag() -> None:
    before = new_user()
    after = user.update(before, {"full_name": "Ana Maria Sitoe"}, LATER)
    assert (after.version, after.updated_at) == (2, LATER)
    assert after.etag != before.etag


def test_update_that_changes_nothing_leaves_the_very_same_user() -> None:
    before = new_user()
    assert user.update(before, {"full_name": before.full_name, "locale": before.locale}, LATER) is before


def test_phone_and_locale_can_be_emptied() -> None:
    after = user.update(new_user(), {"phone": "", "locale": ""}, LATER)
    assert (after.phone, after.locale) == ("", "")


def test_name_cannot_be_emptied() -> None:
    with pytest.raises(FieldInvalid) as refused:
        user.update(new_user(), {"full_name": " "}, LATER)
    assert list(refused.value.violations) == ["user.full_name"]


@pytest.mark.parametrize(
    "path", ["email", "roles", "state", "user_id", "create_time", "etag", "password_hash", "nothing", "*", ""]
)
def test_field_that_cannot_be_changed_is_named(path: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        user.check_mask(["full_name", path])
    assert list(refused.value.violations) == [f"user.{path}"]


def test_mask_without_a_field_is_refused() -> None:
    with pytest.raises(FieldInvalid) as refused:
        user.check_mask([])
    assert list(refused.value.violations) == ["update_mask"]


LONG_TEXT = st.builds(lambda letter, length: letter * length, st.sampled_from("🦩z"), st.integers(500, 5000))


@given(st.lists(LONG_TEXT, min_size=1, max_size=50))
def test_refusal_of_any_mask_fits_into_metadata(paths: list[str]) -> None:
    with pytest.raises(FieldInvalid) as refused:
        user.check_mask(paths)
    assert len(refused.value.message.encode()) < 1500


def test_disabled_user_is_told_so() -> None:
    disabled = User(**{name: getattr(new_user(), name) for name in User.__slots__} | {"state": State.DISABLED})
    with pytest.raises(UserDisabled):
        disabled.check_active()


def test_everybody_but_a_mere_customer_is_staff() -> None:
    assert not new_user().is_staff
    for role in set(Role) - {Role.CUSTOMER}:
        made = user.register("a@b.c", "A", "", "", NOW, user_id=UUID(int=2), roles=(Role.CUSTOMER, role))
        assert made.is_staff
