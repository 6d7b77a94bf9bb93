"""Policies that are put back, transactions that are taken back, and the second person who decides it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import psycopg
import pytest

from bazaruto.common.v1 import premium_pb2
from bazaruto.policies.v1 import approval_pb2, cancellation_pb2, delinquency_pb2, reinstatement_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import clock, ids
from libs.calendar import day_of
from libs.money import Money
from libs.rpc import values
from services.policies.lifecycle.flows import marking
from services.policies.lifecycle.rules.approval import OPEN_FOR
from services.policies.lifecycle.rules.loss import LossMark, LossState
from services.policies.lifecycle.rules.product import ReinstatementRule
from tests.integration.policies.billing import Billing, State
from tests.integration.policies.house import RULES, House
from tests.support.errors import metadata_of, reason_of
from tests.support.people import People, Person, new_key
from tests.unit.policies.contracts import CANCELLATIONS

ZONE = "Africa/Maputo"
LAPSED = delinquency_pb2.LapsePolicyResponse.RESULT_LAPSED
APPROVE = approval_pb2.DecidePolicyApprovalRequest.DECISION_APPROVE
DECLINE = approval_pb2.DecidePolicyApprovalRequest.DECISION_DECLINE
EVERYTHING = """
    SELECT (SELECT count(*) FROM policy_transactions), (SELECT count(*) FROM timelines),
        (SELECT count(*) FROM approvals), (SELECT count(*) FROM audit_events), (SELECT sum(version) FROM policies),
        (SELECT count(*) FROM procrastinate_jobs), (SELECT count(*) FROM idempotency_keys)
"""


class Desk:
    """A policy with whoever asks for something about it, and whoever decides."""

    def __init__(self, house: House, people: People) -> None:
        self.house = house
        self.owner = people.customer()
        self.underwriter, self.admin, self.other_admin = people.user("underwriter"), people.admin(), people.admin()
        rule = ReinstatementRule(30, with_gap=True, needs_statement=True)
        house.quotes.rules = dict.fromkeys((1, 2), replace(RULES, reinstatement=rule))
        self.policy_id = house.issue(self.owner).policy_id
        house.activate(self.policy_id, people.service("payments-worker"))
        self.first_day = day_of(datetime.now(UTC), ZONE)
        self.billing = Billing(house, people, self.policy_id)

    def lapse(self) -> str:
        """Let it lapse on its sixty-second day."""
        answer = self.billing.lapse(self.first_day + timedelta(days=61))
        assert answer.result == LAPSED
        return answer.transaction_id

    def reinstate(self, person: Person, key: str = "", **fields: Any) -> pb.TransactionResult:
        request = reinstatement_pb2.ReinstatePolicyRequest(
            policy_id=self.policy_id, **{"no_loss_statement": "Nothing happened. Ana", **fields}
        )
        return self.house.stub.ReinstatePolicy(request, metadata=person.metadata(idempotency_key=key or new_key()))

    def reverse(self, person: Person, transaction_id: str, **fields: Any) -> pb.TransactionResult:
        request = reinstatement_pb2.ReversePolicyTransactionRequest(
            policy_id=self.policy_id, transaction_id=transaction_id, reason="The transfer came in time.", **fields
        )
        return self.house.stub.ReversePolicyTransaction(request, metadata=person.metadata(idempotency_key=new_key()))

    def decide(self, person: Person, approval_id: str, decision: Any = APPROVE, key: str = "") -> Any:
        request = approval_pb2.DecidePolicyApprovalRequest(approval_id=approval_id, decision=decision, reason="Seen.")
        return self.house.approvals.DecidePolicyApproval(
            request, metadata=person.metadata(idempotency_key=key or new_key())
        )

    def waiting(self, person: Person) -> list[str]:
        """What somebody may decide."""
        request = approval_pb2.ListPolicyApprovalsRequest(pending_only=True, policy_id=self.policy_id)
        listed = self.house.approvals.ListPolicyApprovals(request, metadata=person.metadata())
        return [item.approval_id for item in listed.approvals]

    @property
    def policy(self) -> pb.Policy:
        return self.house.get(self.owner, self.policy_id)

    @property
    def stack(self) -> list[tuple[object, ...]]:
        return self.house.rows("SELECT type, actor FROM policy_transactions ORDER BY sequence")


@pytest.fixture
def desk(house: House, people: People) -> Desk:
    return Desk(house, people)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock to some time from now."""
    return lambda wait: monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + wait)


@pytest.fixture
def lapsed(desk: Desk, later: Callable[[timedelta], None]) -> Desk:
    """The same, whose policy lapsed today."""
    desk.lapse()
    later(timedelta(days=61))
    return desk


def refusal(desk: Desk, call: Callable[[], object]) -> tuple[str, dict[str, str]]:
    """The reason and metadata with which a call is refused, which changes nothing."""
    before = desk.house.rows(EVERYTHING)
    with pytest.raises(grpc.RpcError) as refused:
        call()
    assert desk.house.rows(EVERYTHING) == before
    return reason_of(refused.value), metadata_of(refused.value)


def sums(*results: premium_pb2.Premium) -> int:
    return sum(item.total.units * 100 + item.total.nanos // 10_000_000 for item in results)


def test_underwriter_puts_a_lapsed_policy_back_as_the_preview_said(lapsed: Desk) -> None:
    preview = lapsed.reinstate(lapsed.underwriter, validate_only=True)
    assert (preview.transaction.transaction_id, preview.approval_id) == ("", "")
    assert lapsed.policy.state == pb.Policy.STATE_LAPSED
    done = lapsed.reinstate(lapsed.underwriter)
    assert done.change == preview.change
    assert lapsed.policy.state == pb.Policy.STATE_IN_FORCE
    stack = lapsed.house.stub.ListPolicyTransactions(
        pb.ListPolicyTransactionsRequest(policy_id=lapsed.policy_id), metadata=lapsed.owner.metadata()
    ).transactions
    assert sums(stack[-1].change, stack[-2].change) == 0
    assert stack[-1].no_loss_statement == "Nothing happened. Ana"
    ((details,),) = lapsed.house.rows("SELECT after FROM audit_events WHERE action = 'policy_reinstated'")
    assert "Nothing happened" not in str(details)  # what is stated of people is kept with the policy alone


def test_reinstatement_with_gap_covers_again_from_tomorrow(lapsed: Desk) -> None:
    lapsed.reinstate(lapsed.underwriter, with_gap=True)
    assert lapsed.policy.state == pb.Policy.STATE_GAP
    assert [part.start_date.day for part in lapsed.policy.term.segments] == [
        lapsed.first_day.day,
        (lapsed.first_day + timedelta(days=62)).day,
    ]


def test_reinstatement_is_refused_for_what_keeps_it_from_being_made(
    lapsed: Desk, later: Callable[[timedelta], None], people: People
) -> None:
    for check in (True, False):
        request = partial(lapsed.reinstate, lapsed.underwriter, no_loss_statement="", validate_only=check)
        assert refusal(lapsed, request)[0] == "INVALID_FIELD"
    lapsed.house.payments.past_due[ids.decode("pol", lapsed.policy_id)] = Money(5964, "EUR")
    assert refusal(lapsed, lambda: lapsed.reinstate(lapsed.owner)) == ("ARREARS", {"amount": "59.64 EUR"})
    lapsed.house.payments.past_due.clear()
    assert refusal(lapsed, lambda: lapsed.reinstate(people.customer()))[0] == "RESOURCE_NOT_FOUND"
    assert refusal(lapsed, lambda: lapsed.reinstate(people.user("adjuster")))[0] == "RESOURCE_NOT_FOUND"
    later(timedelta(days=91))
    until = lapsed.first_day + timedelta(days=91)
    assert refusal(lapsed, lambda: lapsed.reinstate(lapsed.underwriter)) == (
        "REINSTATEMENT_WINDOW", {"until": until.isoformat()},
    )  # fmt: skip


def test_loss_that_is_claimed_of_the_days_between_keeps_a_policy_from_being_put_back(lapsed: Desk) -> None:
    policy_id, claim_id = ids.decode("pol", lapsed.policy_id), ids.encode("clm", ids.new())
    mark = LossMark(claim_id, "vehicle_1", "collision", clock.now(), LossState.REGISTERED)
    with lapsed.house.database.transaction() as session:
        marking.mark(session, policy_id, mark)
    assert refusal(lapsed, lambda: lapsed.reinstate(lapsed.underwriter)) == ("LOSS_IN_GAP", {"claim_id": claim_id})
    lapsed.reinstate(lapsed.underwriter, with_gap=True)  # those days stay without cover
    assert lapsed.policy.state == pb.Policy.STATE_GAP


def test_policy_that_covers_is_not_put_back(desk: Desk) -> None:
    assert refusal(desk, lambda: desk.reinstate(desk.underwriter)) == ("POLICY_STATE_INVALID", {"state": "in_force"})


def test_policyholder_asks_and_an_underwriter_decides(lapsed: Desk) -> None:
    asked = lapsed.reinstate(lapsed.owner)
    assert asked.approval_id
    assert asked.transaction.transaction_id == ""
    assert lapsed.reinstate(lapsed.owner).approval_id == asked.approval_id  # asked again while it waits
    assert lapsed.policy.state == pb.Policy.STATE_LAPSED
    assert lapsed.waiting(lapsed.underwriter) == lapsed.waiting(lapsed.admin) == [asked.approval_id]
    key = new_key()
    decided = lapsed.decide(lapsed.underwriter, asked.approval_id, key=key)
    assert (decided.state, decided.result.change) == (approval_pb2.PolicyApproval.STATE_APPROVED, asked.change)
    assert lapsed.decide(lapsed.underwriter, asked.approval_id, key=key) == decided
    assert lapsed.policy.state == pb.Policy.STATE_IN_FORCE
    assert lapsed.stack[-1] == ("reinstatement", lapsed.underwriter.user_id)
    assert lapsed.waiting(lapsed.admin) == []
    assert refusal(lapsed, lambda: lapsed.decide(lapsed.admin, asked.approval_id)) == (
        "APPROVAL_STATE_INVALID", {"state": "approved"},
    )  # fmt: skip


def test_what_is_declined_or_expired_is_not_done(lapsed: Desk, later: Callable[[timedelta], None]) -> None:
    first = lapsed.reinstate(lapsed.owner).approval_id
    declined = lapsed.decide(lapsed.underwriter, first, DECLINE)
    assert declined.state == approval_pb2.PolicyApproval.STATE_DECLINED
    second = lapsed.reinstate(lapsed.owner).approval_id
    assert second != first
    later(timedelta(days=61) + OPEN_FOR)
    assert lapsed.waiting(lapsed.underwriter) == []
    assert refusal(lapsed, lambda: lapsed.decide(lapsed.underwriter, second)) == (
        "APPROVAL_STATE_INVALID", {"state": "expired"},
    )  # fmt: skip
    assert lapsed.policy.state == pb.Policy.STATE_LAPSED


def test_what_is_approved_is_checked_again(lapsed: Desk) -> None:
    asked = lapsed.reinstate(lapsed.owner).approval_id
    lapsed.house.payments.past_due[ids.decode("pol", lapsed.policy_id)] = Money(1, "EUR")
    assert refusal(lapsed, lambda: lapsed.decide(lapsed.underwriter, asked))[0] == "ARREARS"
    lapsed.house.payments.past_due.clear()
    lapsed.decide(lapsed.underwriter, asked)
    assert lapsed.policy.state == pb.Policy.STATE_IN_FORCE


def test_lapse_is_taken_back_line_by_line_by_two_people(desk: Desk, later: Callable[[timedelta], None]) -> None:
    lapse_id = desk.lapse()
    preview = desk.reverse(desk.underwriter, lapse_id, validate_only=True)
    asked = desk.reverse(desk.underwriter, lapse_id)
    assert (preview.approval_id, preview.change) == ("", asked.change)
    assert desk.waiting(desk.underwriter) == []
    assert refusal(desk, lambda: desk.decide(desk.underwriter, asked.approval_id))[0] == "FOUR_EYES"
    done = desk.decide(desk.admin, asked.approval_id)
    lapse = desk.house.stub.GetPolicyTransaction(
        pb.GetPolicyTransactionRequest(policy_id=desk.policy_id, transaction_id=lapse_id),
        metadata=desk.owner.metadata(),
    ).transaction
    back = done.result.transaction
    assert back.reverses_transaction_id == lapse_id
    assert sorted((line.coverage_code, line.charge_code, -line.amount.units) for line in back.change.lines) == sorted(
        (line.coverage_code, line.charge_code, line.amount.units) for line in lapse.change.lines
    )
    assert sums(back.change, lapse.change) == 0
    later(timedelta(days=100))
    assert desk.policy.state == pb.Policy.STATE_IN_FORCE


def test_whoever_asked_does_not_decide_and_underwriters_ask_on_the_day_only(
    desk: Desk, later: Callable[[timedelta], None], people: People
) -> None:
    lapse_id = desk.lapse()
    later(timedelta(days=2))
    assert refusal(desk, lambda: desk.reverse(desk.underwriter, lapse_id)) == (
        "AUTHORITY_EXCEEDED", {"needed": "admin", "held": "underwriter"},
    )  # fmt: skip
    asked = desk.reverse(desk.admin, lapse_id).approval_id
    assert refusal(desk, lambda: desk.decide(desk.admin, asked)) == ("FOUR_EYES", {"by": desk.admin.user_id})
    assert refusal(desk, lambda: desk.decide(people.user("underwriter"), asked)) == (
        "AUTHORITY_EXCEEDED", {"needed": "admin", "held": "underwriter"},
    )  # fmt: skip
    with pytest.raises(psycopg.errors.CheckViolation):  # nor can the database be told so
        desk.house.rows(
            "UPDATE approvals SET decided_as = 'approved', decided_at = now(), decided_by = asked_by RETURNING 1"
        )
    desk.decide(desk.other_admin, asked)
    assert desk.stack[-1] == ("reversal", desk.other_admin.user_id)


def test_only_the_last_transaction_of_money_is_taken_back(desk: Desk) -> None:
    ((first,),) = desk.house.rows("SELECT id FROM policy_transactions WHERE type = 'new_business'")
    new_business = ids.encode("ptx", first)  # type: ignore[arg-type]
    assert refusal(desk, lambda: desk.reverse(desk.admin, new_business)) == (
        "NOT_LAST_TRANSACTION", {"transaction_id": ""},
    )  # fmt: skip
    lapse_id = desk.lapse()
    assert refusal(desk, lambda: desk.reverse(desk.admin, new_business, validate_only=True)) == (
        "NOT_LAST_TRANSACTION", {"transaction_id": lapse_id},
    )  # fmt: skip
    unknown = ids.encode("ptx", ids.new())
    assert refusal(desk, lambda: desk.reverse(desk.admin, unknown))[0] == "RESOURCE_NOT_FOUND"
    assert refusal(desk, lambda: desk.reverse(desk.owner, lapse_id))[0] == "ACCESS_DENIED"


def test_of_eight_reversals_at_once_one_is_done(desk: Desk, people: People) -> None:
    lapse_id = desk.lapse()
    asked = [desk.reverse(people.admin(), lapse_id).approval_id for _ in range(8)]

    def approve(approval_id: str) -> str:
        try:
            desk.decide(desk.other_admin, approval_id)
        except grpc.RpcError as error:
            return reason_of(error)
        return ""

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(approve, asked))
    assert outcomes == ["", *["NOT_LAST_TRANSACTION"] * 7]
    assert [kind for kind, _ in desk.stack][-2:] == ["lapse", "reversal"]
    assert len(desk.waiting(desk.admin)) == 7


def test_of_two_approvers_at_once_one_decides(lapsed: Desk) -> None:
    asked = lapsed.reinstate(lapsed.owner).approval_id

    def decide(person: Person) -> str:
        try:
            lapsed.decide(person, asked)
        except grpc.RpcError as error:
            return reason_of(error)
        return ""

    with ThreadPoolExecutor(4) as threads:
        people = [lapsed.underwriter, lapsed.admin, lapsed.other_admin, lapsed.admin]
        outcomes = sorted(threads.map(decide, people))
    assert outcomes == ["", *["APPROVAL_STATE_INVALID"] * 3]
    assert [kind for kind, _ in lapsed.stack].count("reinstatement") == 1


def test_lapse_that_was_taken_back_is_not_made_again(desk: Desk) -> None:
    lapse_id = desk.lapse()
    desk.decide(desk.other_admin, desk.reverse(desk.admin, lapse_id).approval_id)
    repeated = desk.billing.lapse(desk.first_day + timedelta(days=61))
    assert (repeated.result, repeated.transaction_id) == (LAPSED, lapse_id)
    assert [kind for kind, _ in desk.stack][-2:] == ["lapse", "reversal"]
    desk.billing.tell(2, State.STATE_SETTLED)
    assert desk.policy.state == pb.Policy.STATE_IN_FORCE


def test_lapse_and_cancellation_at_once_end_cover_on_the_earlier_day(desk: Desk) -> None:
    rules = replace(desk.house.quotes.rules[1], cancellations=CANCELLATIONS)
    desk.house.quotes.rules = dict.fromkeys((1, 2), rules)
    lapse_on, cancel_on = desk.first_day + timedelta(days=61), desk.first_day + timedelta(days=90)

    def cancel() -> str:
        request = cancellation_pb2.CancelPolicyRequest(
            policy_id=desk.policy_id, reason="withdrawn", effective_date=values.date_to_proto(cancel_on)
        )
        try:
            desk.house.stub.CancelPolicy(request, metadata=desk.underwriter.metadata(idempotency_key=new_key()))
        except grpc.RpcError as error:
            return reason_of(error)
        return ""

    with ThreadPoolExecutor(2) as threads:
        lapse, cancellation = threads.submit(desk.billing.lapse, lapse_on), threads.submit(cancel)
        assert lapse.result().result == LAPSED
        assert cancellation.result() in ("", "POLICY_STATE_INVALID", "EFFECTIVE_DATE_INVALID")
    ((ended_as, ended_on),) = desk.house.rows("SELECT ended_as, ended_on FROM timelines ORDER BY sequence DESC LIMIT 1")
    assert (ended_as, ended_on) == ("lapsed", lapse_on)
    assert desk.house.get(desk.owner, desk.policy_id).flags == []


def test_decision_of_nothing_is_refused(desk: Desk) -> None:
    unknown = ids.encode("apr", ids.new())
    assert refusal(desk, lambda: desk.decide(desk.admin, unknown))[0] == "RESOURCE_NOT_FOUND"
    assert refusal(desk, lambda: desk.decide(desk.owner, unknown))[0] == "ACCESS_DENIED"
