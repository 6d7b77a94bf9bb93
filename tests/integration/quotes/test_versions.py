"""The life of a product version: made, looked at, published by somebody else, withdrawn."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from bazaruto.quotes.v1 import product_pb2
from bazaruto.quotes.v1 import product_rules_pb2 as rules_pb
from bazaruto.quotes.v1 import product_version_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from libs.rpc import values
from services.quotes.catalogue.adapters.source import dump
from tests.integration.quotes.conftest import House, risk
from tests.support.errors import metadata_of, reason_of, violations_of
from tests.support.people import People, Person, new_key
from tests.unit.quotes.samples import small

# Maputo, where the small product is sold, is two hours ahead.
TODAY = (datetime.now(UTC) + timedelta(hours=2)).date()


def definition(**changes: Any) -> str:
    """The file of the small product, changed."""
    return dump(small(lambda document: document.update(changes)))


def day(later: int) -> Any:
    return values.date_to_proto(TODAY + timedelta(days=later))


def shown(message: Any) -> date:
    return date(message.year, message.month, message.day)


class Desk:
    """Those who make versions and those who publish them."""

    def __init__(self, house: House, people: People) -> None:
        self.house = house
        self.author = people.user("underwriter")
        self.second = people.user("underwriter")
        self.admin = people.admin()

    def create(self, version: int, key: str = "", **changes: Any) -> pb.ProductVersion:
        request = pb.CreateProductVersionRequest(
            product_code="small", definition=definition(version=version, **changes)
        )
        return self.house.products.CreateProductVersion(
            request, metadata=self.author.metadata(idempotency_key=key or new_key())
        )

    def publish(
        self, version: int, *, by: Person | None = None, later: int | None = None, key: str = "", preview: bool = False
    ) -> pb.ProductVersion:
        start = None if later is None else day(later)
        request = pb.PublishProductVersionRequest(
            product_code="small", version=version, start_date=start, validate_only=preview
        )
        metadata = (by or self.second).metadata(**({} if preview else {"idempotency_key": key or new_key()}))
        return self.house.products.PublishProductVersion(request, metadata=metadata)

    def withdraw(self, version: int, *, later: int | None = None, renew_with: int = 0) -> pb.ProductVersion:
        end = None if later is None else day(later)
        request = pb.WithdrawProductVersionRequest(
            product_code="small", version=version, end_date=end, renew_with=renew_with
        )
        return self.house.products.WithdrawProductVersion(
            request, metadata=self.admin.metadata(idempotency_key=new_key())
        )

    def versions(self, **request: Any) -> pb.ListProductVersionsResponse:
        return self.house.products.ListProductVersions(
            pb.ListProductVersionsRequest(product_code="small", **request), metadata=self.author.metadata()
        )

    def states(self) -> dict[int, str]:
        """How far each version has come."""
        return {
            item.version: pb.ProductVersion.State.Name(item.state).removeprefix("STATE_")
            for item in self.versions().versions
        }

    def priced_with(self) -> int:
        """The version that new business is written with."""
        asked = risk("small", area=1, roof="tile", dog=True)
        return self.house.quotes.CalculateQuote(quotes_pb.CalculateQuoteRequest(risk=asked)).product_version

    def rows(self) -> list[tuple[Any, ...]]:
        return self.house.rows(
            "SELECT 'draft', version FROM product_drafts UNION ALL"
            " SELECT 'sale', version FROM product_sales WHERE code = 'small' UNION ALL"
            " SELECT 'product', version FROM products WHERE code = 'small' ORDER BY 1, 2"
        )


@pytest.fixture
def desk(house: House, people: People) -> Desk:
    return Desk(house, people)


def refusal(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def test_version_goes_from_draft_to_sale_to_its_end(desk: Desk) -> None:
    made = desk.create(1)
    assert (made.state, made.author_id, made.publisher) == (pb.ProductVersion.STATE_DRAFT, desk.author.user_id, "")
    assert reason_of(refusal(desk.priced_with)) == "PRODUCT_NOT_AVAILABLE"
    published = desk.publish(1)
    assert (published.state, published.publisher) == (pb.ProductVersion.STATE_ON_SALE, desk.second.user_id)
    assert shown(published.on_sale_from_date) == TODAY
    assert desk.priced_with() == 1
    desk.create(2)
    assert desk.publish(2, later=0 + 1).state == pb.ProductVersion.STATE_SCHEDULED
    assert desk.priced_with() == 1
    assert desk.states() == {2: "SCHEDULED", 1: "ON_SALE"}
    withdrawn = desk.withdraw(1, renew_with=2)
    assert (withdrawn.state, withdrawn.renew_with) == (pb.ProductVersion.STATE_OFF_SALE, 2)
    assert shown(withdrawn.on_sale_until_date) == TODAY
    assert reason_of(refusal(desk.priced_with)) == "PRODUCT_NOT_AVAILABLE"
    assert desk.versions().versions[1] == withdrawn


def test_product_shows_the_days_on_which_it_is_sold(desk: Desk) -> None:
    desk.create(1)
    desk.publish(1)
    desk.withdraw(1, later=3)
    product = desk.house.products.GetProduct(product_pb2.GetProductRequest(product_code="small"))
    assert (shown(product.on_sale_from_date), shown(product.on_sale_until_date)) == (TODAY, TODAY + timedelta(days=3))


def test_definition_is_read_as_it_was_sent(desk: Desk) -> None:
    desk.create(1)
    read = desk.house.products.GetProductDefinition(
        pb.GetProductDefinitionRequest(product_code="small", version=1), metadata=desk.author.metadata()
    )
    assert read.definition == definition(version=1)


def test_definition_that_came_with_the_platform_says_what_its_file_says(desk: Desk) -> None:
    request = pb.GetProductDefinitionRequest(product_code="motor", version=1)
    read = desk.house.products.GetProductDefinition(request, metadata=desk.author.metadata())
    valid = desk.house.products.ValidateProduct(
        pb.ValidateProductRequest(definition=read.definition), metadata=desk.author.metadata()
    )
    assert (valid.product_code, valid.version) == ("motor", 1)


def test_faults_of_a_definition_are_all_named_with_their_lines(desk: Desk) -> None:
    text = definition(validity_days=0, on_sale_until="2020-01-01", plans=[])
    request = pb.ValidateProductRequest(definition=text)
    error = refusal(lambda: desk.house.products.ValidateProduct(request, metadata=desk.author.metadata()))
    assert reason_of(error) == "PRODUCT_DEFINITION_INVALID"
    assert metadata_of(error) == {"faults": "4"}
    lines = {line.split(":")[0]: number for number, line in enumerate(text.split("\n"), 1)}
    assert violations_of(error) == {
        "on_sale_until": f"line {lines['on_sale_until']}: must be later than on_sale_from",
        "validity_days": f"line {lines['validity_days']}: must be from 1 to 365",
        "plans": f"line {lines['plans']}: must have an entry; line {lines['plans']}:"
        " needs the plan 'annual', which is taken when none is chosen",
    }
    assert desk.rows() == []


def test_draft_of_another_product_or_with_a_fault_is_refused(desk: Desk) -> None:
    for changes, key in (({"code": "large"}, "code"), ({"version": 1000001}, "version"), ({"colour": 1}, "colour")):
        error = refusal(lambda changes=changes: desk.create(**{"version": 1, **changes}))  # type: ignore[misc]
        assert reason_of(error) == "PRODUCT_DEFINITION_INVALID"
        assert list(violations_of(error)) == [key]
    assert desk.rows() == []


def test_version_that_exists_is_taken(desk: Desk) -> None:
    desk.create(1)
    assert reason_of(refusal(lambda: desk.create(1, validity_days=31))) == "VERSION_TAKEN"
    desk.publish(1)
    before = desk.rows()
    assert reason_of(refusal(lambda: desk.publish(1))) == "VERSION_TAKEN"
    assert reason_of(refusal(lambda: desk.create(1, validity_days=31))) == "VERSION_TAKEN"
    request = pb.CreateProductVersionRequest(product_code="motor", definition=definition(code="motor", version=1))
    create = desk.house.products.CreateProductVersion
    error = refusal(lambda: create(request, metadata=desk.author.metadata(idempotency_key=new_key())))
    assert reason_of(error) == "VERSION_TAKEN"
    assert desk.rows() == before


def test_author_does_not_publish(desk: Desk) -> None:
    desk.create(1)
    for preview in (True, False):
        error = refusal(lambda preview=preview: desk.publish(1, by=desk.author, preview=preview))  # type: ignore[misc]
        assert reason_of(error) == "FOUR_EYES"
        assert metadata_of(error) == {"by": desk.author.user_id}
    assert desk.rows() == [("draft", 1)]


def test_version_whose_golden_risks_have_another_price_is_not_published(desk: Desk) -> None:
    house = {"start_date": "2026-12-01", "answers": {"area": 100, "roof": "tile", "dog": False}}
    golden = [{"name": name, "expected_total": total, **house} for name, total in (("a", "148.75"), ("b", "9.00"))]
    desk.create(1, golden_risks=[*golden, {**golden[1], "name": "c"}])
    for preview in (True, False):
        error = refusal(functools.partial(desk.publish, 1, preview=preview))
        assert reason_of(error) == "GOLDEN_RISK_CHANGED"
        assert metadata_of(error) == {"risk": "b", "expected": "9.00 EUR", "actual": "148.75 EUR"}
        assert "c costs 148.75 EUR, not 9.00 EUR" in str(error.details())
    assert desk.rows() == [("draft", 1)]
    desk.create(2, golden_risks=golden[:1])
    assert desk.publish(2).state == pb.ProductVersion.STATE_ON_SALE


def test_rules_of_a_published_version_are_told_to_those_who_go_by_them(desk: Desk, people: People) -> None:
    desk.create(1)
    get = desk.house.products.GetProductRules
    request = rules_pb.GetProductRulesRequest(product_code="small", version=1)
    for caller in (people.service("policies"), people.service("payments")):
        assert reason_of(refusal(functools.partial(get, request, metadata=caller.metadata()))) == "RESOURCE_NOT_FOUND"
    desk.publish(1)
    for caller in (people.service("policies"), people.service("payments")):
        assert get(request, metadata=caller.metadata()).time_zone == "Africa/Maputo"
    for caller in (people.service("users"), desk.admin):
        assert reason_of(refusal(functools.partial(get, request, metadata=caller.metadata()))) == "ACCESS_DENIED"


def test_sale_among_the_days_of_another_is_refused(desk: Desk) -> None:
    desk.create(1, on_sale_until=str(TODAY + timedelta(days=30)))
    desk.publish(1)
    desk.create(2)
    before = desk.rows()
    error = refusal(lambda: desk.publish(2, later=10))
    assert reason_of(error) == "SALE_OVERLAP"
    assert metadata_of(error) == {
        "version": "1", "from": str(TODAY), "until": str(TODAY + timedelta(days=30)),
    }  # fmt: skip
    assert desk.rows() == before
    assert desk.publish(2, later=30).state == pb.ProductVersion.STATE_SCHEDULED


def test_preview_says_what_would_be_and_keeps_nothing(desk: Desk) -> None:
    desk.create(1)
    before = desk.rows()
    preview = desk.publish(1, later=5, preview=True)
    assert desk.rows() == before
    done = desk.publish(1, later=5)
    preview.publish_time.Clear()
    done.publish_time.Clear()
    assert preview == done


@pytest.mark.parametrize("later", [-1, -400])
def test_sale_begins_and_ends_on_a_day_that_is_not_over(desk: Desk, later: int) -> None:
    desk.create(1)
    assert list(violations_of(refusal(lambda: desk.publish(1, later=later)))) == ["start_date"]
    desk.publish(1)
    assert list(violations_of(refusal(lambda: desk.withdraw(1, later=later)))) == ["end_date"]
    assert list(violations_of(refusal(lambda: desk.withdraw(1, renew_with=1)))) == ["renew_with"]


def test_version_that_is_not_there_is_not_found(desk: Desk) -> None:
    desk.create(1)
    for call in (
        lambda: desk.publish(2),
        lambda: desk.withdraw(1),
        lambda: desk.withdraw(2),
        lambda: desk.house.products.GetProductDefinition(
            pb.GetProductDefinitionRequest(product_code="small", version=2), metadata=desk.author.metadata()
        ),
    ):
        assert reason_of(refusal(call)) == "RESOURCE_NOT_FOUND"
    desk.publish(1)
    assert reason_of(refusal(lambda: desk.withdraw(1, renew_with=2))) == "RESOURCE_NOT_FOUND"


def test_same_call_twice_takes_effect_once(desk: Desk) -> None:
    made, published = new_key(), new_key()
    assert desk.create(1, key=made) == desk.create(1, key=made)
    assert desk.publish(1, key=published) == desk.publish(1, key=published)
    assert desk.rows() == [("draft", 1), ("product", 1), ("sale", 1)]
    audited = desk.house.rows("SELECT action FROM audit_events ORDER BY id")
    assert audited == [("product_version_created",), ("product_published",)]


def test_of_two_that_publish_at_once_one_does(desk: Desk, people: People) -> None:
    desk.create(1)
    desk.create(2)
    outcomes = list[str]()

    def publish(version: int) -> None:
        try:
            desk.publish(version, by=people.user("underwriter"), later=7)
            outcomes.append("")
        except grpc.RpcError as error:
            outcomes.append(reason_of(error))

    threads = [threading.Thread(target=publish, args=(version,)) for version in (1, 1, 2, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[0] == ""
    assert set(outcomes[:]) - {""} <= {"SALE_OVERLAP", "VERSION_TAKEN"}
    assert outcomes.count("") == 1
    assert len([row for row in desk.rows() if row[0] == "sale"]) == 1


def test_versions_are_listed_in_pages_from_the_highest(desk: Desk) -> None:
    for version in (1, 2, 3):
        desk.create(version)
    first = desk.versions(page_size=2)
    second = desk.versions(page_size=2, page_token=first.next_page_token)
    assert [item.version for item in (*first.versions, *second.versions)] == [3, 2, 1]
    assert second.next_page_token == ""


def test_drafts_and_sales_never_change(desk: Desk) -> None:
    desk.create(1)
    desk.publish(1)
    for statement in (
        "UPDATE product_drafts SET version = 9",
        "DELETE FROM product_drafts",
        "UPDATE product_sales SET version = 9",
        "DELETE FROM product_sales",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.house.rows(f"{statement} RETURNING version")


def test_versions_are_for_those_who_make_products(desk: Desk, people: People) -> None:
    request = pb.ListProductVersionsRequest(product_code="small")
    error = refusal(lambda: desk.house.products.ListProductVersions(request, metadata=people.customer().metadata()))
    assert reason_of(error) == "ACCESS_DENIED"
    underwriters = pb.WithdrawProductVersionRequest(product_code="small", version=1)
    error = refusal(
        lambda: desk.house.products.WithdrawProductVersion(
            underwriters, metadata=desk.author.metadata(idempotency_key=new_key())
        )
    )
    assert reason_of(error) == "ACCESS_DENIED"
