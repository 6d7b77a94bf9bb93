"""Worked cases of the domain over HTTP: what is told of a change before is what is refunded, billed and booked then.

The platform's clock stands in the middle of the first month of a leap year. So the days of every case can lie ahead of
it, with a term of 365 days and one of 366, whenever the tests run.
"""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from libs import clock
from tests.e2e.worked import products
from tests.e2e.worked.walk import Walk, day, money, on, product
from tests.support.buyer import Buyer
from tests.support.people import People
from tests.support.platform import Platform, running_platform

pytestmark = pytest.mark.xdist_group("worked_cases")

LEAP = next(year for year in range(datetime.now(UTC).year + 1, 2100) if calendar.isleap(year))
TODAY = date(LEAP, 1, 15)
YEAR = date(LEAP + 1, 1, 1)
"""First day of a term of 365 days."""


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform for which it is noon of that day."""
    file = tmp_path_factory.mktemp("clock") / "clock"
    offset = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - datetime.now(UTC)
    file.write_text(json.dumps({clock.OFFSET: offset // timedelta(microseconds=1)}))
    with running_platform(BAZARUTO_CLOCK__FILE=str(file)) as running:
        yield running


@pytest.fixture(scope="module")
def buyer(ahead: Platform) -> Iterator[Buyer]:
    """A customer, for whom the products of the cases are on sale."""
    with httpx.Client(base_url=ahead.url, timeout=30) as http:
        customer = Buyer(http)
        customer.sign_up()
        products.publish(customer, People.trusting(ahead.settings.auth))
        yield customer


@pytest.fixture(scope="module")
def finance(ahead: Platform, buyer: Buyer) -> Buyer:
    token = People.trusting(ahead.settings.auth).user("finance").authorization
    return Buyer(buyer.http, token.removeprefix("Bearer "))


@pytest.fixture
def walk(buyer: Buyer, finance: Buyer) -> Walk:
    return Walk(buyer, finance)


def amounts(**by_kind: str) -> dict[str, Decimal]:
    """Amounts by the kinds of lines."""
    return {f"KIND_{kind.upper()}": Decimal(amount) for kind, amount in by_kind.items()}


@dataclass(frozen=True)
class Cancelled:
    """A year that is paid in full and cancelled when so many days of it are used."""

    currency: str
    premium: str
    used: int
    reason: str
    change: dict[str, Decimal]
    refund: str


CANCELLED = {
    "T01": Cancelled("USD", "500.00", 150, "pro_rata", amounts(premium="-294.52"), "294.52"),
    "T02": Cancelled("USD", "500.00", 150, "short_rate", amounts(premium="-294.52", retention="29.45"), "265.07"),
    "T04": Cancelled("USD", "1500.00", 219, "short_rate", amounts(premium="-600.00", retention="60.00"), "540.00"),
    "T06": Cancelled("USD", "1000.00", 150, "table", amounts(premium="-589.04", retention="109.04"), "480.00"),
    "T06 pro rata": Cancelled("USD", "1000.00", 150, "pro_rata", amounts(premium="-589.04"), "589.04"),
    "T06 short": Cancelled(
        "USD", "1000.00", 150, "short_rate", amounts(premium="-589.04", retention="58.90"), "530.14"
    ),
    "T08, T46": Cancelled("EUR", "1200.00", 181, "pro_rata", amounts(premium="-604.93", tax="-102.84"), "707.77"),
    "T09, T46": Cancelled(
        "EUR", "1200.00", 181, "short_rate", amounts(premium="-604.93", retention="60.49", tax="-92.55"), "636.99"
    ),
    "T12": Cancelled("EUR", "1200.00", 0, "pro_rata", amounts(premium="-1200.00", tax="-204.00"), "1404.00"),
    "T14": Cancelled("JPY", "10000", 100, "pro_rata", amounts(premium="-7260"), "7260"),
    "T14 short": Cancelled("JPY", "10000", 100, "short_rate", amounts(premium="-7260", retention="726"), "6534"),
    "T16": Cancelled("MZN", "15000.00", 90, "pro_rata", amounts(premium="-11301.37"), "11301.37"),
    "T19": Cancelled("USD", "500.00", -5, "short_rate", amounts(premium="-500.00"), "500.00"),
    "T20": Cancelled("USD", "7000.00", 239, "pro_rata", amounts(premium="-2416.44"), "2416.44"),
}


@pytest.mark.parametrize("name", CANCELLED)
def test_cancellation_returns_what_is_worked_out(walk: Walk, name: str) -> None:
    case = CANCELLED[name]
    walk.buy(product(case.currency), YEAR, premium=case.premium)
    told = walk.cancel(case.reason, YEAR + timedelta(days=case.used))
    assert (told.change, told.refund) == (case.change, Decimal(case.refund))
    (refund,) = walk.refunds()
    assert (refund["state"], day(refund["notBeforeDate"])) == (
        "STATE_APPROVED",
        max(YEAR + timedelta(days=case.used), YEAR),
    )


def test_t11_a_year_that_starts_on_a_leap_day_has_366_days(walk: Walk) -> None:
    leap_day = date(LEAP, 2, 29)
    walk.buy(product("USD"), leap_day, premium="366.00")
    assert day(walk.policy["term"]["endDate"]) == date(LEAP + 1, 3, 1)
    told = walk.cancel("pro_rata", leap_day + timedelta(days=365))
    assert (told.change, told.refund) == (amounts(premium="-1.00"), Decimal(1))


def test_t11_a_term_that_ends_on_the_last_day_of_february_has_365_days(walk: Walk) -> None:
    leap_day = date(LEAP, 2, 29)
    walk.buy(products.code_of("USD", by_days=True), leap_day, premium="365.00", days=365)
    assert day(walk.policy["term"]["endDate"]) == date(LEAP + 1, 2, 28)
    told = walk.cancel("pro_rata", leap_day + timedelta(days=364))
    assert (told.change, told.refund) == (amounts(premium="-1.00"), Decimal(1))


def test_t12_within_cooling_off_everything_arrives_at_the_payer_again(walk: Walk, buyer: Buyer) -> None:
    walk.buy(product("EUR"), None, premium="1200.00")
    assert buyer.call("GET", walk.path)["state"] == "STATE_IN_FORCE"
    told = walk.cancel("cooling_off", day(walk.policy["term"]["startDate"]))
    assert (told.change, told.refund) == (amounts(premium="-1200.00", tax="-204.00"), Decimal(1404))
    assert buyer.call("GET", walk.path)["state"] == "STATE_CANCELLED"
    (payment,) = walk.paid_back()
    assert (money(payment["amount"]), money(payment["refundedAmount"])) == (Decimal(1404), Decimal(1404))


def test_t19_a_day_at_or_behind_the_end_is_refused(walk: Walk, buyer: Buyer) -> None:
    walk.buy(product("USD"), YEAR, premium="500.00")
    before = buyer.call("GET", walk.path)
    for behind in (0, 1):
        body = {"reason": "pro_rata", "effectiveDate": on(date(LEAP + 2, 1, 1) + timedelta(days=behind))}
        assert walk.refusal(f"{walk.path}:cancel", body) == "EFFECTIVE_DATE_INVALID"
    assert buyer.call("GET", walk.path) == before


def test_t36_a_price_in_two_installments_is_billed_one_at_a_time(walk: Walk, buyer: Buyer) -> None:
    """117.00 less tax at 17 % is 100.00, so the case's 20.00 of tax is 17.00 here; the halves are 58.50."""
    walk.buy(product("EUR"), YEAR, "halves", pays=False, premium="100.00")
    invoice = buyer.invoice_of(walk.policy)
    assert money(invoice["amountDue"]) == Decimal("58.50")
    assert [money(part["premium"]["total"]) for part in walk.planned()] == [Decimal("58.50")]
    buyer.pay(invoice)
    settled = buyer.wait(f"/v1/invoices/{invoice['invoiceId']}", lambda shown: shown["state"] == "STATE_PAID")
    assert (money(settled["amountDue"]), money(walk.account()["credit"])) == (Decimal(0), Decimal(0))


@dataclass(frozen=True)
class Endorsed:
    """A year of 1200.00 that costs another premium a year when so many days are left."""

    premium: str
    left: int
    change: dict[str, Decimal]


ENDORSED = {
    "T37": Endorsed("1500.00", 184, amounts(premium="151.23", tax="25.71")),
    "T38": Endorsed("900.00", 184, amounts(premium="-151.23", tax="-25.71")),
    "T40 inception": Endorsed("1500.00", 365, amounts(premium="300.00", tax="51.00")),
    "T40 last day": Endorsed("1500.00", 1, amounts(premium="0.82", tax="0.14")),
}


@pytest.mark.parametrize("name", ENDORSED)
def test_change_costs_what_is_worked_out(walk: Walk, name: str) -> None:
    case = ENDORSED[name]
    walk.buy(product("EUR"), YEAR, premium="1200.00")
    told = walk.endorse(date(LEAP + 2, 1, 1) - timedelta(days=case.left), premium=case.premium)
    total = sum(case.change.values())
    assert (told.change, told.refund) == (case.change, Decimal(0))
    assert (money(told.account["amountDue"]), money(told.account["credit"])) == (max(total, 0), max(-total, 0))
    written = money(walk.billing()["premium"]["net"])
    assert written == Decimal("1200.00") + case.change["KIND_PREMIUM"]


def test_t42_another_plan_in_the_middle_of_a_month_costs_half_the_difference(walk: Walk, buyer: Buyer) -> None:
    walk.buy(products.code_of("USD", by_days=True), YEAR, premium="20.00", days=30)
    told = walk.endorse(YEAR + timedelta(days=15), premium="30.00")
    assert told.change == amounts(premium="5.00")
    first, second = buyer.call("GET", walk.path)["term"]["segments"]
    assert (money(first["net"]), money(second["net"])) == (Decimal("10.00"), Decimal("15.00"))


def test_rescission_brings_the_installments_back_that_fell_away(walk: Walk) -> None:
    walk.buy(product("EUR"), YEAR, "monthly", premium="1200.00")
    before = walk.planned()
    told = walk.cancel("pro_rata", YEAR + timedelta(days=181))
    assert told.planned == [Decimal("117.00")] * 4 + [Decimal("111.23")]
    told = walk.rescind()
    assert told.change == amounts(premium="604.93", tax="102.84")
    assert walk.planned() == before
    assert (money(told.account["amountDue"]), money(told.account["credit"])) == (Decimal(0), Decimal(0))


def test_rescission_takes_a_refund_back_that_was_not_sent(walk: Walk) -> None:
    walk.buy(product("EUR"), YEAR, premium="1200.00")
    assert walk.cancel("short_rate", YEAR + timedelta(days=181)).refund == Decimal("636.99")
    told = walk.rescind()
    assert (told.refund, money(told.account["amountDue"]), money(told.account["credit"])) == (Decimal(0),) * 3
    (refund,) = walk.refunds()
    assert refund["state"] == "STATE_RETURNED"
