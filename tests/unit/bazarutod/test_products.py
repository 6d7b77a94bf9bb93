"""`bazarutod products check` and `price`: what product files say, and what risks cost with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bazarutod.products.app import app
from services.quotes.catalogue.adapters.source import dump
from tests.unit.quotes.samples import small

BICYCLE = Path(__file__).parents[3] / "docs/examples/bicycle.yaml"
GOLDEN: dict[str, Any] = {
    "name": "hut",
    "start_date": "2026-12-01",
    "answers": {"area": 100, "roof": "tile", "dog": False},
    "expected_total": "148.75",
}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder: Path, **changes: Any) -> Path:
    """The file of the small product, changed."""
    path = folder / "small.yaml"
    path.write_text(dump(small(lambda document: document.update(changes))))
    return path


def test_example_of_the_documentation_is_in_order() -> None:
    result = run("check", BICYCLE)
    assert (result.exit_code, result.stdout) == (0, f"{BICYCLE}: in order: bicycle version 1\n")


def test_every_fault_is_printed_with_its_line_and_reason(tmp_path: Path) -> None:
    path = write(tmp_path, validity_days=0, colour="red")
    assert run("check", path).stdout == f"{path}:{_line(path, 'colour')}: colour: unknown key\n"
    path = write(tmp_path, validity_days=0, version=0)
    result = run("check", BICYCLE, path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{BICYCLE}: in order: bicycle version 1",
        f"{path}:{_line(path, 'version')}: version: must be 1 or more",
        f"{path}:{_line(path, 'validity_days')}: validity_days: must be from 1 to 365",
    ]


def test_byte_that_is_no_text_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("code: hut\ntext: caf\u00e9\n".encode("latin-1"))
    assert run("check", path).stdout == f"{path}:2: is not text in UTF-8: byte 0xe9 at column 10\n"
    path.write_bytes(b"\xff")
    assert run("check", path).stdout == f"{path}:1: is not text in UTF-8: byte 0xff at column 1\n"


def test_amount_that_is_too_large_to_be_rated_is_named_with_its_line(tmp_path: Path) -> None:
    text = BICYCLE.read_text()
    path = tmp_path / "large.yaml"
    path.write_text(re.sub(r"amount: [0-9.]+", "amount: 90000000000000000", text, count=1))
    result = run("check", path)
    line = 1 + text[: re.search(r"amount: [0-9.]+", text).start()].count("\n")  # type: ignore[union-attr]
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:{line}: ")
    assert "amount" in result.stdout


def test_faults_are_printed_as_json(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("a: 1\nb: [")
    result = run("check", path, "--json")
    ((fault,),) = [one["faults"] for one in json.loads(result.stdout)]
    assert (result.exit_code, fault["line"], fault["key"]) == (1, 2, "")


def test_golden_risk_with_another_price_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path, golden_risks=[{**GOLDEN, "expected_total": "1.00"}])
    result = run("check", path)
    assert (result.exit_code, result.stdout) == (
        1,
        f"{path}: the golden risk hut costs 148.75 EUR, not 1.00 EUR\n",
    )
    assert run("price", path).exit_code == 1
    assert "its file says 1.00" in run("price", path).stdout


def test_golden_risks_are_priced_step_by_step(tmp_path: Path) -> None:
    path = write(tmp_path, golden_risks=[GOLDEN])
    result = run("price", path)
    assert result.exit_code == 0
    for part in ("hut from 2026-12-01", "house_base", "125.00", "total", "148.75", "approved"):
        assert part in result.stdout


def test_risks_of_a_file_are_priced(tmp_path: Path) -> None:
    risks = tmp_path / "risks.json"
    answers = {"area": 100, "roof": "straw", "dog": False}
    coverages = [{"code": "garden", "limit": 2000.00}]
    risks.write_text(json.dumps([{"answers": answers, "coverages": coverages}, {"answers": {**answers, "area": 5000}}]))
    result = run("price", write(tmp_path), risks, "--json")
    first, second = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (first["net"], first["tax"], first["fees"], first["total"]) == ("268.25", "45.60", "2.50", "316.35")
    assert first["decision"] == "referred"
    assert first["rules"] == [{"rule": "straw", "text": "The roof burns.", "level": 0}]
    assert [step["name"] for step in first["steps"]][:2] == ["house_base", "garden_base"]
    assert (second["error"], second["total"]) == ("ANSWER_INVALID", "")
    assert "no price" in run("price", write(tmp_path), risks).stdout


def test_one_risk_may_stand_alone_in_its_file(tmp_path: Path) -> None:
    risks = tmp_path / "risk.json"
    risks.write_text(json.dumps({"name": "hut", "answers": GOLDEN["answers"]}))
    (price,) = json.loads(run("price", write(tmp_path), risks, "--json").stdout)
    assert (price["name"], price["total"]) == ("hut", "148.75")


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"answers": 1}', '[{"answers": {}, "colour": 1}]', "[" * 100_000])
def test_file_that_holds_no_risks_is_refused(tmp_path: Path, text: str) -> None:
    risks = tmp_path / "risks.json"
    risks.write_text(text)
    result = run("price", write(tmp_path), risks)
    assert result.exit_code == 1
    assert str(risks) in result.output


def test_file_without_golden_risks_asks_for_risks(tmp_path: Path) -> None:
    result = run("price", write(tmp_path))
    assert (result.exit_code, "has no golden risks" in result.output) == (1, True)


def test_file_that_cannot_be_read_is_named_with_every_verb(tmp_path: Path) -> None:
    path = write(tmp_path, version=0)
    for verb in ("price", "impact"):
        result = run(verb, path)
        assert (result.exit_code, "version: must be 1 or more" in result.output) == (1, True)


def _line(path: Path, key: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(f"{key}:"))
