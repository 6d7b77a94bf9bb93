"""Any history through the calls of both services: what is foreseen comes, and policies, billing and books agree."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.servicing.book import Book
from tests.integration.servicing.life import OFTEN, live
from tests.unit.policies.histories import Command

plans = st.sampled_from(["annual", "monthly"])
commands = st.builds(Command, st.sampled_from(OFTEN), st.integers(0, 4_000), st.integers(0, 4_000))


@settings(max_examples=3, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@given(plans, st.lists(commands, min_size=8, max_size=12))
def test_history_ends_in_what_was_foreseen_and_in_the_books(book: Book, plan: str, history: list[Command]) -> None:
    live(book, plan, history)
