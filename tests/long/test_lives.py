"""Long histories through the calls of both services: up to 200 commands."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.servicing.book import Book
from tests.integration.servicing.conftest import book
from tests.integration.servicing.life import live
from tests.integration.servicing.test_lives import commands, plans
from tests.unit.policies.histories import Command

__all__ = ["book"]


@settings(max_examples=40, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(plans, st.lists(commands, min_size=40, max_size=200))
def test_long_history_ends_in_what_was_foreseen_and_in_the_books(
    book: Book,
    plan: str,
    history: list[Command],
) -> None:
    live(book, plan, history)
