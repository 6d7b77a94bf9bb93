"""The operator's command knows every key of every service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from bazarutod.settings import load_suite
from libs.config import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("BAZARUTO_"):
            monkeypatch.delenv(name)


def test_packaged_file_names_every_key() -> None:
    named, known = yaml.safe_load((ROOT / "config.yaml").read_text()), load_suite().model_dump(by_alias=True)
    assert set(named) == set(known)
    for section, keys in known.items():
        assert not isinstance(keys, dict) or set(named[section]) == set(keys)
    assert {frozenset(keys) for keys in named["services"].values()} == {frozenset(known["services"]["users"])}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("BAZARUTO_PAYMENTS__PROVIDER", "cash", "payments.provider: Input should be '' or 'sandbox'"),
        ("BAZARUTO_PAYMENTS__PROVIDERS", "sandbox", "payments.providers: unknown key"),
    ],
)
def test_wrong_value_in_the_section_of_a_service_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=reason):
        load_suite()
