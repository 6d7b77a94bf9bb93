"""Every state of a policy with every command: what is allowed does what the table says, all else changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from libs.errors import DomainError
from services.policies.lifecycle.rules.cancellation import Wish
from services.policies.lifecycle.rules.change_request import Request
from services.policies.lifecycle.rules.state import State
from tests.unit.policies import proofs
from tests.unit.policies.histories import COMMANDS, EVERY_ROLE, Command, History, cancel_as, issue_change
from tests.unit.policies.stacks import FIRST

PENDING_END, RENEWED = "cancel_pending", "renewed"
INVALID, NOT_LAST = "POLICY_STATE_INVALID", "NOT_LAST_TRANSACTION"
JUNE = FIRST + timedelta(days=150)
LATER = Command("cancel", 2 * (196 + 1), 1)  # moved away, on day 196


def state_of(name: str) -> History:
    """A policy that stands so."""
    history = History.begin()
    if name not in (State.PENDING, State.NOT_TAKEN):
        assert history.do(Command("pay"))
    if name == State.NOT_TAKEN:
        history.now += timedelta(days=20)
    if name in (State.IN_FORCE, PENDING_END, State.GAP, State.LAPSED, State.CANCELLED):
        history.now += timedelta(days=72)  # the sixtieth day
    if name in (State.LAPSED, State.GAP):
        assert history.do(Command("lapse", 2))
    if name == State.GAP:
        assert history.do(Command("reinstate", number=1))
    if name == State.CANCELLED:
        cancel_as(history, Wish("withdrawn", EVERY_ROLE, history.today))
    if name == PENDING_END:
        cancel_as(history, Wish("moved_away", EVERY_ROLE, FIRST + timedelta(days=200)))
    if name == State.EXPIRED:
        history.now += timedelta(days=400)
    wanted = State.IN_FORCE if name == PENDING_END else name
    assert history.state is State(wanted)
    return history


TABLE: dict[str, dict[str, str]] = {
    State.PENDING: {
        "pay": "scheduled", "endorse": INVALID, "cancel": "cancelled", "rescind": INVALID, "lapse": INVALID,
        "reinstate": INVALID, "reverse": NOT_LAST, "close": INVALID, "transfer": "pending",
    },
    State.NOT_TAKEN: {
        # Payments takes no money then. What it took in time counts, however late it is told.
        "pay": "in_force", "endorse": INVALID, "cancel": INVALID, "rescind": INVALID, "lapse": INVALID,
        "reinstate": INVALID, "reverse": NOT_LAST, "close": "not_taken", "transfer": INVALID,
    },
    State.SCHEDULED: {
        "pay": INVALID, "endorse": "scheduled", "cancel": "scheduled", "rescind": INVALID, "lapse": "lapsed",
        "reinstate": INVALID, "reverse": NOT_LAST, "close": INVALID, "transfer": "scheduled",
    },
    State.IN_FORCE: {
        "pay": INVALID, "endorse": "in_force", "cancel": "in_force", "rescind": INVALID, "lapse": "lapsed",
        "reinstate": INVALID, "reverse": NOT_LAST, "close": INVALID, "transfer": "in_force",
    },
    PENDING_END: {
        "pay": INVALID, "endorse": "in_force", "cancel": "in_force", "rescind": "in_force", "lapse": "lapsed",
        "reinstate": INVALID, "reverse": "in_force", "close": INVALID, "transfer": "in_force",
    },
    State.GAP: {
        "pay": INVALID, "endorse": INVALID, "cancel": INVALID, "rescind": INVALID, "lapse": INVALID,
        "reinstate": INVALID, "reverse": "lapsed", "close": INVALID, "transfer": "gap",
    },
    State.LAPSED: {
        "pay": INVALID, "endorse": INVALID, "cancel": INVALID, "rescind": INVALID, "lapse": INVALID,
        "reinstate": "in_force", "reverse": "in_force", "close": INVALID, "transfer": INVALID,
    },
    State.CANCELLED: {
        "pay": INVALID, "endorse": INVALID, "cancel": INVALID, "rescind": INVALID, "lapse": INVALID,
        "reinstate": "in_force", "reverse": "in_force", "close": INVALID, "transfer": INVALID,
    },
    State.EXPIRED: {
        "pay": INVALID, "endorse": INVALID, "cancel": INVALID, "rescind": INVALID, "lapse": INVALID,
        "reinstate": INVALID, "reverse": NOT_LAST, "close": INVALID, "transfer": INVALID,
    },
}  # fmt: skip
"""By state and command: the state behind it, or the reason of the refusal."""


def carry_out(history: History, command: str) -> str:
    """Try a command on a day on which the state alone decides; what came of it."""
    before, refused = history.made, len(history.refused)
    if command == "endorse":
        try:
            issue_change(history, Request(JUNE, {"price_liability": 99999}))
        except DomainError as refusal:
            assert history.made is before
            return refusal.reason
        return history.state
    asked = {"cancel": LATER, "lapse": Command("lapse", 2), "reverse": Command("reverse", 0, 1)}
    if history.state is State.SCHEDULED:
        asked["lapse"] = Command("lapse", 0)
    if history.do(asked.get(command, Command(command))):
        return history.state
    assert history.made is before
    return history.refused[refused][1]


@pytest.mark.parametrize(("state", "command"), [(state, command) for state in TABLE for command in TABLE[state]])
def test_command_in_a_state_does_what_the_table_says(state: str, command: str) -> None:
    history = state_of(state)
    before = len(history.stack)
    outcome = carry_out(history, command)
    assert outcome == TABLE[state][command]
    is_refused = outcome in (INVALID, NOT_LAST)
    assert len(history.stack) == before + (not is_refused)
    if not is_refused:
        proofs.check(history)


def test_table_has_every_state_and_every_command() -> None:
    assert {*TABLE} == {*State, PENDING_END}
    assert all({*commands} == {*COMMANDS} - {"pass_time", "renew", "give_up"} for commands in TABLE.values())
