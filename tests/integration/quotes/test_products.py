"""The catalogue: publishing products, and reading them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import yaml

from bazaruto.quotes.v1 import product_pb2 as pb
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from libs import clock
from libs.config import DbSettings, Settings
from libs.db import Database, DatabaseUnavailable
from services.quotes import main
from services.quotes.catalogue.flows import offering, publishing
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.flows.publishing import VersionChanged
from services.quotes.catalogue.rules.definition import DefinitionError
from services.quotes.quoting.flows.calculating import Calculators
from tests.integration.quotes.conftest import House, risk
from tests.support.errors import reason_of
from tests.support.sections import section
from tests.unit.quotes.samples import small
from tests.unit.quotes.sold import products


def write(folder: Path, **changes: Any) -> Path:
    """A product file with the small product, changed."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(small(lambda document: document.update(changes))))
    return path


def publish(house: House, path: Path) -> None:
    with house.database.transaction() as session:
        publishing.publish(session, clock.now(), [path])


def get(house: House, code: str, version: int = 0) -> pb.Product:
    return house.products.GetProduct(pb.GetProductRequest(product_code=code, version=version))


def test_products_on_sale_are_listed_by_code_in_pages(house: House) -> None:
    first = house.products.ListProducts(pb.ListProductsRequest(page_size=4))
    second = house.products.ListProducts(pb.ListProductsRequest(page_size=4, page_token=first.next_page_token))
    assert [product.product_code for product in first.products] == ["device", "health", "home", "motor"]
    assert [product.product_code for product in second.products] == ["term_life", "travel"]
    assert second.next_page_token == ""


def test_product_says_what_it_covers_asks_and_how_it_is_paid(house: House) -> None:
    product = get(house, "motor")
    assert (product.version, product.currency_code, product.time_zone) == (2, "EUR", "Europe/Lisbon")
    assert product.coverages[0].mandatory
    assert [limit.units for limit in product.coverages[0].limits] == [1300000, 5000000, 50000000]
    questions = {question.question_code: question for question in product.questions}
    assert (questions["licence_years"].minimum, questions["licence_years"].maximum) == (0, 80)
    assert questions["licence_years"].type == pb.Question.TYPE_INTEGER
    assert list(questions["use"].choices) == ["private", "commuting", "business", "taxi"]
    assert {plan.plan_code: plan.installments for plan in product.installment_plans} == {
        "annual": 1,
        "quarterly": 4,
        "monthly": 12,
    }
    assert not product.HasField("on_sale_until_date")
    vehicle, driver = product.object_types
    assert (vehicle.object_code, vehicle.minimum_count, vehicle.maximum_count) == ("vehicle", 1, 1)
    assert (vehicle.identifier_code, driver.maximum_count) == ("plate", 5)
    assert {offer.object_code for offer in product.coverages} == {"vehicle"}
    fields = {field.question_code: field for field in vehicle.fields}
    assert (fields["plate"].type, fields["plate"].max_length) == (pb.Question.TYPE_TEXT, 200)
    assert fields["plate"].pattern == "[A-Z0-9]{2}-[A-Z0-9]{2}-[A-Z0-9]{2}"
    assert (fields["plate"].for_rating, fields["vin"].for_rating) == (True, False)
    assert fields["first_registered"].type == pb.Question.TYPE_DATE
    assert (fields["value"].type, fields["value"].decimal_places) == (pb.Question.TYPE_MONEY, 2)
    assert (fields["value"].least, fields["value"].most) == ("500.00", "250000.00")


def test_decimal_question_says_its_places(house: House) -> None:
    questions = {question.question_code: question for question in get(house, "term_life").questions}
    weight = questions["weight"]
    assert (weight.type, weight.least, weight.most) == (pb.Question.TYPE_DECIMAL, "30.0", "250.0")
    assert weight.decimal_places == 1


@pytest.mark.parametrize(("code", "version"), [("boat", 0), ("boat", 1), ("motor", 99)])
def test_unknown_product_is_not_found(house: House, code: str, version: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        get(house, code, version)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


def test_page_token_of_another_list_is_refused(house: House) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        house.products.ListProducts(pb.ListProductsRequest(page_token="WyJhIiwgImIiXQ"))
    assert reason_of(caught.value) == "PAGE_TOKEN_INVALID"


def test_new_version_is_found_by_number_and_sold_from_its_day(house: House, tmp_path: Path) -> None:
    publish(house, write(tmp_path))
    assert get(house, "small").version == 1
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()
    publish(house, write(tmp_path, version=2, on_sale_from=str(tomorrow)))
    publish(house, write(tmp_path, version=3))
    assert get(house, "small", 3).version == 3
    assert get(house, "small").version == 3
    assert get(house, "small", 2).on_sale_from_date.day == tomorrow.day


def test_product_that_is_not_on_sale_is_shown_by_number_and_not_priced(house: House, tmp_path: Path) -> None:
    publish(house, write(tmp_path, on_sale_until="2026-02-01"))
    assert get(house, "small", 1).on_sale_until_date.month == 2
    with pytest.raises(grpc.RpcError) as caught:
        get(house, "small")
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"
    request = quotes_pb.CalculateQuoteRequest(risk=risk("small", area=1, roof="tile", dog=True))
    with pytest.raises(grpc.RpcError) as caught:
        house.quotes.CalculateQuote(request)
    assert reason_of(caught.value) == "PRODUCT_NOT_AVAILABLE"


def test_publishing_again_changes_nothing(house: House) -> None:
    before = house.rows("SELECT code, version, published_at FROM products ORDER BY code")
    with house.database.transaction() as session:
        publishing.publish(session, clock.now())
    assert house.rows("SELECT code, version, published_at FROM products ORDER BY code") == before


def test_change_of_a_published_version_is_refused(house: House, tmp_path: Path) -> None:
    publish(house, write(tmp_path))
    with pytest.raises(VersionChanged, match=r"^small\.yaml: version 1 of small is published with other content"):
        publish(house, write(tmp_path, validity_days=31))
    assert house.rows("SELECT document->>'validity_days' FROM products WHERE code = 'small'") == [("30",)]


def test_file_with_a_wrong_key_publishes_nothing(house: House, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"^small\.yaml: line \d+: colour: unknown key"):
        publish(house, write(tmp_path, colour="red"))
    assert house.rows("SELECT count(*) FROM products WHERE code = 'small'") == [(0,)]


def test_version_that_this_program_cannot_read_is_left_out(house: House) -> None:
    """A newer program may have published it; until this one is replaced, it sells what it understands."""
    house.rows(
        'INSERT INTO products (code, version, document) SELECT code, 3, document || \'{"version": 3, "new": 1}\''
        " FROM products WHERE code = 'motor' AND version = 2 RETURNING code"
    )
    assert get(house, "motor").version == 2
    with pytest.raises(grpc.RpcError) as caught:
        get(house, "motor", 3)
    assert reason_of(caught.value) == "RESOURCE_NOT_FOUND"


def test_products_are_priced_while_the_database_is_away(
    make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(make_database("quotes"), section(DbSettings, max_connections=2), "test-catalogue")
    database.open()
    with database.transaction() as session:
        publishing.publish(session, clock.now())
    known = Catalogue(database, Calculators().prepare)
    assert known.on_sale("motor", datetime.now(UTC)).version == 2
    database.close()
    monkeypatch.setattr(offering, "_LOOK_EVERY", 0.0)
    assert known.on_sale("motor", datetime.now(UTC)).version == 2
    with pytest.raises(DatabaseUnavailable):
        known.on_sale("boat", datetime.now(UTC))
    with pytest.raises(DatabaseUnavailable):
        Catalogue(database, Calculators().prepare).all_on_sale(datetime.now(UTC))


def test_published_products_never_change(house: House) -> None:
    for statement in ("UPDATE products SET version = 9", "DELETE FROM products"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.rows(f"{statement} RETURNING code")


def test_migrate_prepares_an_empty_database_and_may_be_repeated(
    make_database: Callable[[str], str], settings_for: Callable[..., Settings]
) -> None:
    settings = settings_for(quotes=make_database("quotes"))
    for _ in range(2):
        main.migrate(settings)
    with psycopg.connect(settings.services["quotes"].db_url) as connection:
        published = connection.execute("SELECT code FROM products ORDER BY code").fetchall()
    assert published == [(code,) for code in sorted(code for code, _ in products())]
