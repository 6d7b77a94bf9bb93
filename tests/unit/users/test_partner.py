"""What a partner can be, when it sells, and who can be a member."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from libs import ids
from libs.errors import FieldInvalid
from services.users.accounts.rules import user
from services.users.accounts.rules.authority import RoleMissing
from services.users.accounts.rules.user import Role
from services.users.partners.rules import partner
from services.users.partners.rules.partner import Kind, MemberAlready, Partner, State

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
CODES = frozenset({"motor", "home"})
BROKER = Partner(ids.new(), Kind.BROKER, "Broker", "b@example.com", "", State.ACTIVE, CODES, NOW, NOW)


def test_suspended_partner_sells_nothing_and_again_when_it_is_resumed() -> None:
    suspended = partner.suspend(BROKER, NOW)
    assert (BROKER.sells, suspended.sells) == (CODES, frozenset())
    resumed = partner.resume(suspended, NOW)
    assert (resumed.sells, resumed.version) == (CODES, 3)


def test_what_is_so_already_is_no_change() -> None:
    assert partner.resume(BROKER, NOW) is BROKER
    assert partner.set_products(BROKER, ["home", "motor"], NOW) is BROKER
    assert partner.update(BROKER, BROKER, partner.CHANGEABLE, NOW) is BROKER
    suspended = partner.suspend(BROKER, NOW)
    assert partner.suspend(suspended, NOW) is suspended


@pytest.mark.parametrize("path", ["kind", "state", "product_codes", "partner_id"])
def test_mask_of_what_cannot_be_changed_is_refused(path: str) -> None:
    with pytest.raises(FieldInvalid):
        partner.check_mask([path])


def test_members_are_agents_of_no_other_partner() -> None:
    agent = user.register("a@example.com", "Ana", "", "", NOW, user_id=ids.new(), roles=(Role.AGENT,))
    partner.check_member(agent, None)
    with pytest.raises(MemberAlready):
        partner.check_member(agent, ids.new())
    with pytest.raises(RoleMissing) as refusal:
        partner.check_member(user.register("b@example.com", "Ben", "", "", NOW, user_id=ids.new()), None)
    assert refusal.value.metadata == {"role": "agent"}


def test_only_products_that_exist_may_be_sold_and_only_new_ones_are_asked_about() -> None:
    asked: list[str] = []

    def is_product(code: str) -> bool:
        asked.append(code)
        return code == "travel"

    partner.check_products(["home", "travel"], CODES, is_product)
    with pytest.raises(FieldInvalid) as refusal:
        partner.check_products(["motor", "boat", "travel", "kite"], CODES, is_product)
    assert list(refusal.value.violations) == ["product_codes[1]", "product_codes[3]"]
    assert asked == ["travel", "boat", "travel", "kite"]
