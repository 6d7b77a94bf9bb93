"""What a customer can be, what changes of one keep, and who may act for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import FieldInvalid
from services.users.people.rules import customer
from services.users.people.rules.customer import (
    CHANGEABLE,
    MOST_PARTIES,
    Address,
    AlreadyLinked,
    Customer,
    Kind,
    PartiesTooMany,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
TODAY = NOW.date()
ANA = customer.of_user(ids.new(), "Ana Sitoe", "ana@example.com", "+258841234567", "pt-MZ", NOW)
FIRM = replace(ANA, id=ids.new(), kind=Kind.ORGANISATION, name="Sitoe Lda")

persons = st.builds(
    replace,
    st.just(ANA),
    name=st.sampled_from(["Ana", "Ana Sitoe Dias"]),
    birth_date=st.none() | st.dates(date(1930, 1, 1), date(2020, 1, 1)),
    emails=st.sampled_from([(), ("ana@example.com",), ("A@example.com", "b@example.com")]),
    address=st.none() | st.just(Address(("Rua 1",), "Maputo", "", "", "MZ")),
    locale=st.sampled_from(["", "pt"]),
)


def test_party_of_a_user_has_their_identifier_and_is_their_own() -> None:
    assert (ANA.id, ANA.user_id, ANA.kind) == (ANA.user_id, ANA.id, Kind.PERSON)
    assert (ANA.emails, ANA.phones, ANA.version) == (("ana@example.com",), ("+258841234567",), 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "Ana\nSitoe"}, "name"),
        ({"birth_date": TODAY + timedelta(days=1)}, "birth_date"),
        ({"birth_date": date(1890, 1, 1)}, "birth_date"),
        ({"kind": Kind.ORGANISATION, "birth_date": date(1990, 1, 1)}, "birth_date"),
        ({"emails": ("a@example.com", "A@example.com")}, "emails"),
        ({"phones": ("+258841234567", "+258841234567")}, "phones"),
    ],
)
def test_customer_who_cannot_be_so_is_refused_with_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldInvalid) as refusal:
        customer.checked(replace(ANA, **changes), TODAY)
    assert set(refusal.value.violations) == {f"customer.{field}"}


@given(persons, persons, st.sets(st.sampled_from(CHANGEABLE), min_size=1))
def test_change_changes_what_the_mask_names_and_keeps_what_was_before(
    before: Customer, wanted: Customer, paths: set[str]
) -> None:
    before = customer.checked(before, TODAY)
    after = customer.update(before, wanted, paths, NOW + timedelta(hours=1))
    old, new = customer.kept_changes(before, after)
    assert set(new) <= paths
    assert replace(before, **new, updated_at=after.updated_at, version=after.version) == after  # type: ignore[arg-type]
    assert all(getattr(before, name) == value for name, value in old.items())
    assert (after is before) == (not new)
    assert after.version == before.version + bool(new)


@pytest.mark.parametrize("path", ["kind", "customer_id", "partner_id", "etag", "emails.x"])
def test_mask_of_what_cannot_be_changed_is_refused(path: str) -> None:
    with pytest.raises(FieldInvalid):
        customer.fields_of_mask([path])
    with pytest.raises(FieldInvalid):
        customer.fields_of_mask([])


def test_day_and_address_are_named_as_a_whole() -> None:
    paths = ["birth_date.year", "birth_date.day", "name", "address.lines", "address.locality"]
    assert customer.fields_of_mask(paths) == ("birth_date", "name", "address")


def test_partner_serves_from_a_day_that_is_not_before_the_last_change_nor_far_ahead() -> None:
    broker, other = ids.new(), ids.new()
    served = customer.assign_partner(FIRM, broker, TODAY - timedelta(days=3), NOW)
    assert (served.partner_id, served.partner_since, served.version) == (broker, TODAY - timedelta(days=3), 2)
    assert customer.assign_partner(served, broker, TODAY, NOW) is served
    for day in (TODAY + timedelta(days=367), TODAY - timedelta(days=4)):
        with pytest.raises(FieldInvalid):
            customer.assign_partner(served, other, day, NOW)
    assert customer.assign_partner(served, None, TODAY, NOW).partner_id is None


def test_partner_of_a_day_to_come_serves_from_that_day_on() -> None:
    broker, other, day = ids.new(), ids.new(), TODAY + timedelta(days=30)
    served = customer.assign_partner(FIRM, broker, TODAY, NOW)
    planned = customer.assign_partner(served, other, day, NOW)
    assert (planned.partner_id, planned.next_partner_id, planned.next_partner_since) == (broker, other, day)
    assert customer.follow_plan(planned, NOW + timedelta(days=29)) is planned
    followed = customer.follow_plan(planned, NOW + timedelta(days=31))
    assert (followed.partner_id, followed.partner_since, followed.version) == (other, day, planned.version + 1)
    assert (followed.next_partner_id, followed.next_partner_since) == (None, None)
    assert customer.follow_plan(followed, NOW + timedelta(days=31)) is followed


def test_every_other_assignment_gives_up_the_one_that_was_planned() -> None:
    broker, other, day = ids.new(), ids.new(), TODAY + timedelta(days=30)
    served = customer.assign_partner(FIRM, broker, TODAY, NOW)
    planned = customer.assign_partner(served, other, day, NOW)
    for partner_id, since in ((broker, TODAY), (broker, day), (other, TODAY), (None, TODAY)):
        after = customer.assign_partner(planned, partner_id, since, NOW)
        assert (after.partner_id, after.next_partner_since) == (partner_id, None)
    without = customer.assign_partner(planned, None, day, NOW)
    assert (without.partner_id, without.next_partner_id, without.next_partner_since) == (broker, None, day)


def test_user_acts_for_a_customer_once_and_for_no_more_than_a_token_names() -> None:
    user_id, party = ids.new(), ids.new()
    customer.check_link(user_id, party, frozenset())
    for linked in ((user_id, user_id, frozenset()), (user_id, party, frozenset({party}))):
        with pytest.raises(AlreadyLinked):
            customer.check_link(*linked)
    with pytest.raises(PartiesTooMany):
        customer.check_link(user_id, party, frozenset(ids.new() for _ in range(MOST_PARTIES)))
