"""`bazarutod products impact`: the quotes of a database are rated again with a file that nobody has published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from bazarutod.products import impact as command
from bazarutod.products.app import app
from services.quotes.catalogue.adapters.source import dump
from tests.integration.quotes.conftest import House
from tests.integration.quotes.test_rate_changes import Desk, desk, document, house_of, minor
from tests.support.people import Person

__all__ = ["desk"]  # a fixture


def run(house: House, *arguments: object) -> Result:
    return CliRunner().invoke(app, ["impact", "--database", house.url, *map(str, arguments)])


def write(folder: Path, changed: dict[str, Any]) -> Path:
    path = folder / "small.yaml"
    path.write_text(dump(changed))
    return path


def test_quotes_are_rated_again_with_a_file(desk: Desk, person: Person, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(command, "_AT_ONCE", 3)
    monkeypatch.setenv("BAZARUTO_DB__SLOW_QUERY", "0s")  # what is printed is what was found, and no log
    house = desk.house
    made = [house.create(person, house_of(100 + number)) for number in range(7)]
    before = house.rows("SELECT md5(string_agg(q::text, '')) FROM quotes AS q")
    path = write(tmp_path, document(fee="5.50"))
    result = run(house, path, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["quotes"], found["rated"]) == (0, 7, 7)
    cents = sum(minor(quote.premium.total) for quote in made)
    assert found["old_total"] == f"{cents / 100:.2f}"
    assert found["new_total"] == f"{(cents + 7 * 300) / 100:.2f}"
    assert sum(bucket["quotes"] for bucket in found["buckets"]) == 7
    assert [one["name"] for one in found["factors"] if one["change"] != "0.00"] == ["fee"]
    assert {one["quote_id"] for one in found["largest_increases"]} == {quote.quote_id for quote in made}
    assert house.rows("SELECT md5(string_agg(q::text, '')) FROM quotes AS q") == before
    shown = run(house, path).stdout
    for part in ("small version 9: 7 quotes", "█", "fee", "21.00", made[0].quote_number):
        assert part in shown


def test_what_a_file_no_longer_takes_is_shown_with_its_reason(desk: Desk, person: Person, tmp_path: Path) -> None:
    desk.house.create(person, house_of(900))
    changed = document()
    changed["questions"][0]["maximum"] = 800
    changed["rating"][5]["table"] = {"1..800": "0.00"}
    changed["underwriting"] = []
    result = run(desk.house, write(tmp_path, changed))
    assert result.exit_code == 0
    assert "ANSWER_INVALID" in result.stdout
    assert "area" in result.stdout


def test_product_without_quotes_is_said_to_have_none(house: House, tmp_path: Path) -> None:
    path = write(tmp_path, document())
    result = run(house, path)
    assert (result.exit_code, result.stdout) == (0, "No quote of small has a price.\n")
    assert json.loads(run(house, path, "--json").stdout)["quotes"] == 0


def test_database_that_is_away_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["impact", "--database", "postgresql://127.0.0.1:1/none", str(write(tmp_path, document()))]
    )
    assert (result.exit_code, "does not answer" in result.output) == (1, True)
