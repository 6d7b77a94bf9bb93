"""Long lives of a policy: up to 200 commands in any order."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.unit.policies import proofs
from tests.unit.policies.histories import Command, History, histories


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(histories(200))
def test_money_days_and_states_of_a_long_history_fit_together(commands: list[Command]) -> None:
    proofs.live(History.begin(), commands)
