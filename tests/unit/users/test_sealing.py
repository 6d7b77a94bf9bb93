"""Sealed tax ids: opened with their key for their customer only, found by a hash, shown by their ending."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from libs.errors import FieldInvalid
from services.users.people.adapters.sealing import FieldKeys, SealBroken, write_field_keys
from services.users.people.rules.tax_id import normalised

ANA, BEN = ids.new(), ids.new()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_field_keys(tmp_path / "fields", datetime(2026, 1, 1, tzinfo=UTC))
    return tmp_path / "fields"


def test_sealed_tax_id_is_opened_for_its_customer_only(folder: Path) -> None:
    keys = FieldKeys.load(folder)
    first, second = (keys.seal("400123456", ANA) for _ in range(2))
    assert keys.open(first, ANA) == "400123456"
    assert first == second
    assert first.sealed != second.sealed
    assert "400123456" not in first.sealed
    assert first.ending == "456"
    with pytest.raises(SealBroken):
        keys.open(first, BEN)


def test_newest_key_seals_and_older_ones_open(folder: Path) -> None:
    before = FieldKeys.load(folder).seal("400123456", ANA)
    write_field_keys(folder, datetime(2026, 2, 1, tzinfo=UTC))
    keys = FieldKeys.load(folder)
    after = keys.seal("400123456", ANA)
    assert [one.sealed.partition(":")[0] for one in (before, after)] == ["20260101000000", "20260201000000"]
    assert keys.open(before, ANA) == keys.open(after, ANA) == "400123456"
    assert before == after, "the key of the hash stays"
    (folder / "20260101000000.seal").unlink()
    with pytest.raises(SealBroken):
        FieldKeys.load(folder).open(before, ANA)


def test_keys_of_a_credential_have_the_same_ids(folder: Path) -> None:
    sealed = FieldKeys.load(folder).seal("400123456", ANA)
    for path in list(folder.iterdir()):
        path.rename(folder / f"fields_{path.name}")
    assert FieldKeys.load(folder).open(sealed, ANA) == "400123456"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("20270101000000.seal", "short", "no key that can be read"),
        ("20270101000000.seal", "ab" * 16, "32 bytes"),
        ("other.hash", "ab" * 32, "not one that hashes"),
    ],
)
def test_folder_that_cannot_be_used_is_named(folder: Path, name: str, text: str, why: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=rf"secrets\.field_keys: .*{why}"):
        FieldKeys.load(folder)


def test_folder_without_keys_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"secrets\.field_keys: in .* no key that seals"):
        FieldKeys.load(tmp_path)


@given(st.from_regex(r"[A-Z0-9]{4,20}", fullmatch=True), st.sampled_from([" ", ".", "-", "/"]))
def test_tax_id_is_the_same_however_it_is_written(tax_id: str, between: str) -> None:
    assert normalised(between.join(tax_id.lower()), "tax_id") == tax_id


@pytest.mark.parametrize("text", ["123", "x" * 21, "12 34 5!", "１２３４５", ""])
def test_what_is_no_tax_id_is_refused(text: str) -> None:
    with pytest.raises(FieldInvalid):
        normalised(text, "tax_id")
