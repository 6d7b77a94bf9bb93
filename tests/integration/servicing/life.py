"""One policy through the calls of both services: every command with its preview, which has to be what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

import grpc

from bazaruto.policies.v1 import approval_pb2, cancellation_pb2, endorsement_pb2, parties_pb2, reinstatement_pb2
from bazaruto.policies.v1 import policy_pb2 as pb
from libs import ids
from libs.rpc import values
from tests.integration.servicing.book import Book
from tests.support.errors import reason_of
from tests.support.people import Person, new_key
from tests.unit.policies.contracts import CANCELLATIONS
from tests.unit.policies.histories import Command

OFTEN = ("pass_time", "pay", "endorse") * 4 + ("cancel", "reinstate") * 3 + ("rescind", "reverse") * 2 + ("transfer",)
"""The commands, as often as they come in a history."""

_REASONS = [rule.reason for rule in CANCELLATIONS]
_TIMINGS = endorsement_pb2.IssueEndorsementRequest
Call = Callable[..., pb.TransactionResult]


class Life:
    """A policy, its holder, and those who may change it."""

    def __init__(self, book: Book, plan: str) -> None:
        self.book = book
        people = book.people
        self.holder = people.customer()
        self.underwriter, self.admin, self.other_admin = people.user("underwriter"), people.admin(), people.admin()
        self.adjuster = people.user("adjuster")
        self.policy_id = book.issue(self.holder, plan)
        self.outcomes: list[tuple[str, str]] = []

    def do(self, command: Command) -> None:
        """Carry a command out, and prove the policy."""
        try:
            outcome = getattr(self, f"_{command.name}")(command)
        except grpc.RpcError as error:
            outcome = reason_of(error)
        self.outcomes.append((command.name, outcome or "OK"))
        self.book.work()
        self.book.check(self.policy_id)

    def end(self) -> None:
        """Let all terms end: whatever was dated back meanwhile, all that was written is earned then."""
        self.book.offset += timedelta(days=500)
        self.book.spend_night(ids.decode("pol", self.policy_id))
        self.book.earn(self.policy_id)
        self.book.check(self.policy_id)
        assert "2000" not in self.book.balances(self.policy_id), "something is never earned"

    def any_day(self, number: int) -> date:
        """A day near today, or any other of the first term."""
        if number % 2:
            return self.book.today + timedelta(days=number // 2 % 50 - 10)
        first = self.book.contract(self.policy_id).policy.terms[0].starts_on
        return first + timedelta(days=number // 2 % 366 - 1)

    def _tried(self, call: Call, person: Person, request: Any) -> tuple[pb.TransactionResult | None, str]:
        """What a call answers, or the reason for which it is refused."""
        try:
            return call(request, metadata=person.metadata(idempotency_key=new_key())), ""
        except grpc.RpcError as error:
            return None, reason_of(error)

    def as_foreseen(self, call: Call, person: Person, request: Any) -> str:
        """Check a call, and make it: both refuse for the same, or say the same; and payments does what was foreseen."""
        before = self.book.kept()
        request.validate_only = True
        preview, reason = self._tried(call, person, request)
        request.validate_only = False
        if preview is None:
            assert self._tried(call, person, request) == (None, reason), "the call did not refuse as its preview did"
            assert self.book.kept() == before, "what is refused changes nothing"
            return reason
        assert self.book.kept() == before, "a preview changes nothing"
        request.validate_only = False
        done = call(request, metadata=person.metadata(idempotency_key=new_key()))
        if done.approval_id:
            assert done.change == preview.change
            decision = approval_pb2.DecidePolicyApprovalRequest(
                approval_id=done.approval_id,
                decision=approval_pb2.DecidePolicyApprovalRequest.DECISION_APPROVE,
                reason="Seen.",
            )
            metadata = self.other_admin.metadata(idempotency_key=new_key())
            done = self.book.policies.approvals.DecidePolicyApproval(decision, metadata=metadata).result
        assert done.change == preview.change
        assert [*done.after] == [*preview.after]
        self.book.work()
        self._check_foreseen(preview, done.transaction.transaction_id)
        return ""

    def _check_foreseen(self, preview: pb.TransactionResult, transaction_id: str) -> None:
        assert not preview.billing_pending
        book, url = self.book, self.book.payments.url
        policy_id, made = ids.decode("pol", self.policy_id), ids.decode("ptx", transaction_id)
        refunds = book.ask(url, "SELECT amount, not_before FROM refunds WHERE transaction_id = %s", made)
        foreseen = values.money_from_proto(preview.refund).minor if preview.HasField("refund") else 0
        assert sum(amount for amount, _ in refunds) == foreseen, "another amount is paid back than was foreseen"
        if preview.change.lines:
            due = values.money_from_proto(preview.balance_due).minor if preview.HasField("balance_due") else 0
            assert sum(due for _, due in book.invoices(self.policy_id)) == due
            planned = book.ask(
                url,
                "SELECT term_number, number, due_on FROM schedule_installments JOIN schedules ON schedules.id ="
                " schedule_id WHERE account_id = %s AND schedule_installments.state = 'planned' ORDER BY 3, 1, 2",
                policy_id,
            )
            assert [
                (part.term_number, part.installment_number, values.date_from_proto(part.due_date, ""))
                for part in preview.installments
            ] == planned

    def _pass_time(self, command: Command) -> None:
        self.book.pass_days(self.policy_id, 1 + command.day % 40)
        self.book.earn(self.policy_id)

    def _pay(self, command: Command) -> str:
        return "OK" if self.book.pay(self.holder, self.policy_id) else "NOTHING_DUE"

    def _endorse(self, command: Command) -> str:
        number = command.number
        request = endorsement_pb2.QuoteEndorsementRequest(
            policy_id=self.policy_id, effective_date=values.date_to_proto(self.any_day(command.day))
        )
        if number % 3 == 0:
            request.coverages.add.add(coverage_code="theft")
        elif number % 3 == 1:
            request.coverages.remove.append("theft" if number % 2 else "collision")
        if number % 3 == 2 or number % 5 == 0:
            request.answers.update({"km": number % 40_000})
        person, stub = self.underwriter, self.book.policies.stub
        reply = stub.QuoteEndorsement(request, metadata=person.metadata(idempotency_key=new_key()))
        issue = endorsement_pb2.IssueEndorsementRequest(
            policy_id=self.policy_id,
            quote_id=reply.quote.quote_id,
            charge_timing=_TIMINGS.ChargeTiming.values()[number // 3 % 4],
            credit_timing=_TIMINGS.CreditTiming.values()[number // 7 % 3],
        )
        return self.as_foreseen(stub.IssueEndorsement, person, issue)

    def _cancel(self, command: Command) -> str:
        reason = _REASONS[command.number % len(_REASONS)]
        day = None if command.day % 5 == 0 else values.date_to_proto(self.any_day(command.day))
        person = {"total_loss": self.adjuster, "insured_request": self.holder, "moved_away": self.holder,
                  "cooling_off": self.holder}.get(reason, self.underwriter)  # fmt: skip
        request = cancellation_pb2.CancelPolicyRequest(policy_id=self.policy_id, reason=reason, effective_date=day)
        return self.as_foreseen(self.book.policies.stub.CancelPolicy, person, request)

    def _rescind(self, command: Command) -> str:
        request = cancellation_pb2.RescindCancellationRequest(policy_id=self.policy_id)
        person = self.holder if command.number % 2 else self.underwriter
        return self.as_foreseen(self.book.policies.stub.RescindCancellation, person, request)

    def _reinstate(self, command: Command) -> str:
        request = reinstatement_pb2.ReinstatePolicyRequest(
            policy_id=self.policy_id, with_gap=bool(command.number % 2), no_loss_statement="Nothing happened."
        )
        return self.as_foreseen(self.book.policies.stub.ReinstatePolicy, self.underwriter, request)

    def _reverse(self, command: Command) -> str:
        changing = [item for item in self.book.contract(self.policy_id).standing if item.lines]
        request = reinstatement_pb2.ReversePolicyTransactionRequest(
            policy_id=self.policy_id, transaction_id=ids.encode("ptx", changing[-1].id), reason="A mistake."
        )
        return self.as_foreseen(self.book.policies.stub.ReversePolicyTransaction, self.admin, request)

    def _transfer(self, command: Command) -> None:
        other = self.book.people.customer()
        assert other.id is not None
        customer_id = ids.encode("cus", other.id)
        self.book.policies.users.customers.add(customer_id)
        request = parties_pb2.TransferPolicyRequest(
            policy_id=self.policy_id, customer_id=customer_id, consent="Both signed."
        )
        self.book.policies.stub.TransferPolicy(request, metadata=self.underwriter.metadata(idempotency_key=new_key()))
        self.holder = other


def live(book: Book, plan: str, commands: Iterable[Command]) -> None:
    """Buy and pay a policy, and go through a history with it."""
    life = Life(book, plan)
    life.do(Command("pay"))
    for command in commands:
        life.do(command)
    life.end()
    book.check_books()
