"""The messages between policies and payments on a bad day: lost, told twice, out of order, and answers never heard.

Both are real servers with real databases and the real jobs. Whatever happens on the way, in the end payments has
charged what policies says is owed, and both agree on which contracts took effect.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.identity.service_tokens import ServiceTokens
from libs.rpc import values
from libs.rpc.client import connect
from libs.rpc.errors import NeighbourUnavailable, RemoteError
from services.policies.clients import Payments
from services.policies.lifecycle import jobs
from services.policies.lifecycle.kinds import APPLY_TRANSACTION
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.transaction import Transaction
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.payments.house import Registered
from tests.integration.policies.house import House
from tests.support.errors import reason_of
from tests.support.people import People

POLICIES = 12
LOST = 0.3  # of the messages, and as many of the answers
JOBS = f"SELECT args FROM procrastinate_jobs WHERE task_name = '{APPLY_TRANSACTION.name}' ORDER BY id"
CHARGED = """
    SELECT account_id, sum(amount)::bigint, count(DISTINCT sequence), max(sequence)
    FROM applied_transactions JOIN charge_lines USING (transaction_id) GROUP BY account_id
"""
WITHDRAWN = "SELECT id FROM billing_accounts WHERE withdrawn_at IS NOT NULL"

Start = Callable[..., grpc.Channel]


class BadLine(Payments):
    """Payments behind a line on which messages and answers are lost, and messages come twice."""

    def __init__(self, channel: grpc.Channel, chance: random.Random) -> None:
        super().__init__(channel)
        self._chance = chance

    def apply_transaction(self, policy: Policy, transaction: Transaction, *args: Any, **details: Any) -> None:
        if self._chance.random() < LOST:
            raise NeighbourUnavailable
        for _ in range(self._chance.choice((1, 1, 2))):
            super().apply_transaction(policy, transaction, *args, **details)
        if self._chance.random() < LOST:
            raise NeighbourUnavailable


@pytest.mark.parametrize("seed", [1, 2])
def test_payments_charges_what_policies_says_is_owed_whatever_happens_on_the_way(
    seed: int,
    start_server: Start,
    make_database: Callable[[str], str],
    people: People,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(seed)
    house = House(start_server, make_database("policies"))
    payments = PaymentsHouse(start_server, make_database("payments"), people)
    line = BadLine(connect(payments.target, ServiceTokens(people.auth, "policies-worker")), chance)
    registered = Registered()
    jobs.register(registered, house.database, house.quotes, line)  # type: ignore[arg-type]
    owner = people.customer()
    issued = [house.issue(owner, plan_code=chance.choice(("annual", "monthly"))) for _ in range(POLICIES)]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    service = people.service("payments-worker").metadata()
    for policy in issued:
        _tell(house, policy, service, chance)
    waiting = [arguments for (arguments,) in house.rows(JOBS)]
    for _ in range(1000):
        if not waiting:
            break
        arguments: Any = waiting.pop(chance.randrange(len(waiting)))
        try:
            registered.run(APPLY_TRANSACTION.name, arguments)
        except (NeighbourUnavailable, RemoteError) as error:
            if not _is_temporary(error):
                raise
            waiting.append(arguments)  # the worker would try again
    assert waiting == []
    charged = {account: rest for account, *rest in payments.rows(CHARGED)}
    withdrawn = {
        account for (account,) in payments.rows("SELECT id FROM billing_accounts WHERE withdrawn_at IS NOT NULL")
    }
    states = set()
    for policy in issued:
        policy_id, shown = ids.decode("pol", policy.policy_id), house.get(owner, policy.policy_id)
        owed, applied, last = charged[policy_id]
        assert values.money_from_proto(shown.term.premium.total).minor == owed
        assert applied == last == (2 if shown.state == pb.Policy.STATE_NOT_TAKEN else 1)
        assert (policy_id in withdrawn) == (shown.state == pb.Policy.STATE_NOT_TAKEN)
        states.add(shown.state)
    assert states == {pb.Policy.STATE_NOT_TAKEN, pb.Policy.STATE_IN_FORCE}
    assert all(money.units == money.nanos == 0 for money in payments.trial_balance().differences)
    assert (
        house.rows(
            "SELECT policy_id FROM policy_transactions WHERE type <> 'new_business' GROUP BY 1 HAVING count(*) <> 1"
        )
        == []
    )


def _tell(house: House, policy: pb.Policy, service: Any, chance: random.Random) -> None:
    """What payments has to say of a contract, in any order and some of it more than once: one of the two counts."""
    paid = pb.ActivatePolicyRequest(
        policy_id=policy.policy_id, payment_id=ids.encode("pay", ids.new()), term_number=1, paid_time=policy.issue_time
    )
    unpaid = pb.CloseNotTakenRequest(policy_id=policy.policy_id, invoice_id=ids.encode("inv", ids.new()), term_number=1)
    calls: list[Callable[[], object]] = [
        lambda: house.stub.ActivatePolicy(paid, metadata=service),
        lambda: house.stub.CloseNotTaken(unpaid, metadata=service),
    ]
    for call in chance.choices(calls, k=4) + calls:
        try:
            call()
        except grpc.RpcError as error:
            if reason_of(error) != "POLICY_STATE_INVALID":
                raise


def _is_temporary(error: Exception) -> bool:
    return isinstance(error, NeighbourUnavailable) or getattr(error, "remote_reason", "") == "TRANSACTION_OUT_OF_ORDER"
