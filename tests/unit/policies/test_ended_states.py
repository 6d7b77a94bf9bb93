"""In which states a policy lapses, is put back, and has something that can be taken back: every pair of the table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

import pytest

from libs.money import Money
from services.policies.lifecycle.rules import lapse, reinstatement, reversal
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.lapse import Lapse
from services.policies.lifecycle.rules.policy import PolicyStateInvalid
from services.policies.lifecycle.rules.reinstatement import Reinstatement
from services.policies.lifecycle.rules.returns import Method, Return
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import EndKind
from services.policies.lifecycle.rules.transaction import Ending, Reopening
from tests.unit.policies.stacks import EUR, LAST
from tests.unit.policies.test_lapse import GRACE_ENDS, in_force, unpaid
from tests.unit.policies.test_reinstatement import under

PRO_RATA: Final = Return(Method.PRO_RATA)
LAPSED = in_force((GRACE_ENDS, Ending(EndKind.LAPSED, PRO_RATA)))
CASES: Final[dict[State, tuple[Contract, date]]] = {
    State.PENDING: (unpaid(), date(2025, 1, 1)),
    State.NOT_TAKEN: (unpaid(), date(2025, 1, 2)),
    State.SCHEDULED: (in_force(), date(2024, 12, 20)),
    State.IN_FORCE: (in_force(), date(2025, 3, 4)),
    State.GAP: (
        in_force((GRACE_ENDS, Ending(EndKind.LAPSED, PRO_RATA)), (date(2025, 3, 13), Reopening())),
        date(2025, 3, 5),
    ),
    State.LAPSED: (LAPSED, date(2025, 3, 4)),
    State.CANCELLED: (in_force((GRACE_ENDS, Ending(EndKind.CANCELLED, PRO_RATA))), date(2025, 3, 4)),
    State.EXPIRED: (in_force(), LAST),
}


@pytest.mark.parametrize("state", State)
def test_state_decides_what_is_done(state: State) -> None:
    made, day = CASES[state]
    now = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert made.policy.state(now) is state

    assert lapse.is_needed(made, Lapse(UUID(int=7), 1, day), None) is (state in (State.SCHEDULED, State.IN_FORCE))

    has_ended = state in (State.LAPSED, State.CANCELLED)
    assert reinstatement.has_ended(made.policy, now) is has_ended
    asked = Reinstatement(statement="No loss.")
    if has_ended:
        back = reinstatement.reinstate(under(made), asked, Money.zero(EUR), (), now, transaction_id=UUID(int=9))
        assert back.after.state(now) is State.IN_FORCE
    else:
        with pytest.raises(PolicyStateInvalid) as refused:
            reinstatement.reinstate(under(made), asked, Money.zero(EUR), (), now, transaction_id=UUID(int=9))
        assert refused.value.metadata == {"state": state}

    last = reversal.last_of(made)
    assert (last is not None) is (state in (State.GAP, State.LAPSED, State.CANCELLED))
