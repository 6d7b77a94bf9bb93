"""Which payment provider a process works with."""

from __future__ import annotations

from typing import Any

import pytest

from libs.db import Database
from services.payments.collection.adapters.sandbox import Sandbox
from services.payments.collection.rules.provider import ProviderMissing
from services.payments.main import choose_provider
from services.payments.settings import PaymentsSettings


def choose(**settings: Any) -> object:
    given = PaymentsSettings(**settings)
    return choose_provider(given, Database("postgresql://127.0.0.1/nowhere", given.db, "payments"))


def test_production_does_not_start_with_the_sandbox_by_itself() -> None:
    with pytest.raises(ProviderMissing, match=r"payments\.provider"):
        choose(environment="production")


def test_production_takes_the_sandbox_when_it_is_told_so() -> None:
    assert isinstance(choose(environment="production", payments={"provider": "sandbox"}), Sandbox)


def test_development_needs_not_be_told() -> None:
    assert isinstance(choose(environment="development"), Sandbox)
