"""Databases of earlier revisions come to today's with every row, and today's code reads them and goes on with them.

Each file in `states` was dumped from a platform of the commit that its first line names, after purchases that ended in
every way. `making` makes the next one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import copy
from pathlib import Path

import grpc
import pytest

from services.policies.clients import Payments
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.transaction import Transaction
from tests.integration.migrations import checking, making, reading
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.policies.house import House as PoliciesHouse
from tests.support.people import People
from tests.support.platform import running_platform

Start = Callable[..., grpc.Channel]

STATES = {path.stem: path for path in sorted(Path(__file__).with_name("states").glob("*.sql"))}
REVISIONS = [
    f"{path.parts[-4]}-{path.name[:4]}"
    for path in sorted(Path(__file__).parents[3].glob("services/*/migrations/versions/*.py"))
]
# The last revision of each release of a service.
RELEASES = sorted(path.stem for path in Path(__file__).with_name("schemas").glob("*.txt"))
# One release brought these and 0008 together: a database was at one of them only while it was migrated.
ON_THE_WAY = {"payments-0004", "payments-0005", "payments-0006", "payments-0007"}


def test_every_revision_that_was_released_has_a_state() -> None:
    last = {name.partition("-")[0]: name for name in RELEASES}
    assert {*STATES, *ON_THE_WAY} == {name for name in REVISIONS if name <= last[name.partition("-")[0]]}


@pytest.mark.parametrize("earlier", STATES)
def test_database_of_an_earlier_revision_comes_along_with_every_row(
    earlier: str, empty: str, start_server: Start, people: People
) -> None:
    service = earlier.partition("-")[0]
    before = checking.restore(STATES[earlier], empty)
    checking.upgrade(service, empty)
    checking.check(service, empty, before)
    reading.READERS[service](start_server, empty, people)


@pytest.mark.parametrize("earlier", ["payments-0001", "policies-0001", "quotes-0001", "users-0001"])
def test_migration_that_was_broken_off_anywhere_goes_on(earlier: str, empty: str) -> None:
    service = earlier.partition("-")[0]
    before = checking.restore(STATES[earlier], empty)
    for revision in REVISIONS:
        if revision.startswith(service) and revision > earlier:
            checking.upgrade(service, empty, revision.partition("-")[2])
    checking.check(service, empty, before)


@pytest.mark.parametrize("earlier", [name for name in STATES if name.startswith("payments")])
def test_payments_that_were_under_way_come_to_their_end(
    earlier: str, empty: str, start_server: Start, people: People
) -> None:
    checking.restore(STATES[earlier], empty)
    checking.upgrade("payments", empty)
    house = PaymentsHouse(start_server, empty, people)
    assert "payments.settle" in house.work()
    assert house.rows("SELECT FROM payments WHERE status = 'processing'") == []
    house.check_money()


@pytest.mark.parametrize("earlier", [name for name in STATES if name.startswith("policies")])
def test_bills_that_were_not_opened_are_opened(earlier: str, empty: str, start_server: Start) -> None:
    """The token of the card was an argument of the job until 0004, and is in a table since."""
    checking.restore(STATES[earlier], empty)
    checking.upgrade("policies", empty)
    payments = OpenBills()
    PoliciesHouse(start_server, empty).worker(payments).run_due()
    assert sorted(payments.payment_methods) == ["", "pm_card_ok"]


@pytest.mark.timeout(600)  # a whole platform, and purchases on it
@pytest.mark.xdist_group("platform")
def test_state_that_is_made_today_has_rows_in_every_table_and_is_read(
    tmp_path: Path, make_empty: Callable[[], str], start_server: Start, people: People
) -> None:
    with running_platform() as platform:
        making.make(platform)
        saved = making.save(platform, tmp_path)
        people = copy(people)  # what was sealed there is opened by its keys
        people.field_keys = Path(shutil.copytree(platform.settings.secrets.field_keys, tmp_path / "fields"))
    for path in saved:
        url, service = make_empty(), path.stem.partition("-")[0]
        checking.check(service, url, checking.restore(path, url))
        reading.READERS[service](start_server, url, people)


class OpenBills(Payments):
    """The payments service as policies sees it; it opens every bill."""

    def __init__(self) -> None:
        self.payment_methods: list[str] = []

    def open_billing(self, policy: Policy, transaction: Transaction, installments: int, payment_method: str) -> None:
        self.payment_methods.append(payment_method)
