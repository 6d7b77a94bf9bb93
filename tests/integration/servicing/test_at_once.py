"""Two of everything at once, on real servers: exactly one takes effect, and the books balance."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import grpc
import pytest

from bazaruto.policies.v1 import cancellation_pb2, endorsement_pb2, renewal_pb2
from libs import ids
from libs.jobs import GiveUp
from libs.rpc import values
from services.payments.collection.flows.confirming import EndingAwaited
from services.policies.lifecycle.rules.product import RenewalRule
from tests.integration.servicing.book import PRODUCT, Book
from tests.support.errors import reason_of
from tests.support.people import People, Person, new_key


def at_once(*calls: Callable[[], object]) -> list[str]:
    """Make calls at the same moment; the reason of each refusal, or OK."""
    barrier = threading.Barrier(len(calls))

    def make(call: Callable[[], object]) -> str:
        barrier.wait(60)
        try:
            call()
        except grpc.RpcError as error:
            return reason_of(error)
        return "OK"

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(make, calls))


def cancel(book: Book, person: Person, policy_id: str, in_days: int, reason: str = "moved_away") -> None:
    day = values.date_to_proto(book.today + timedelta(days=in_days))
    request = cancellation_pb2.CancelPolicyRequest(policy_id=policy_id, reason=reason, effective_date=day)
    book.policies.stub.CancelPolicy(request, metadata=person.metadata(idempotency_key=new_key()))


def quote_change(book: Book, person: Person, policy_id: str, in_days: int, km: int) -> str:
    request = endorsement_pb2.QuoteEndorsementRequest(
        policy_id=policy_id, effective_date=values.date_to_proto(book.today + timedelta(days=in_days))
    )
    request.answers.update({"km": km})
    reply = book.policies.stub.QuoteEndorsement(request, metadata=person.metadata(idempotency_key=new_key()))
    return reply.quote.quote_id


def endorse(book: Book, person: Person, policy_id: str, quote_id: str) -> None:
    request = endorsement_pb2.IssueEndorsementRequest(policy_id=policy_id, quote_id=quote_id)
    book.policies.stub.IssueEndorsement(request, metadata=person.metadata(idempotency_key=new_key()))


def proved(book: Book, policy_id: str, outcomes: Sequence[str]) -> list[str]:
    """The outcomes in order, once both services have done what follows and everything adds up."""
    book.work()
    book.check(policy_id)
    book.check_books()
    return sorted(outcomes)


def test_of_four_payers_of_one_invoice_one_pays(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.issue(person)
    ((invoice_id, due),) = book.invoices(policy_id)
    outcomes = at_once(*[lambda: book.payments.pay(person, invoice_id)] * 4)
    assert outcomes.count("OK") == 1
    assert set(outcomes) <= {"OK", "INVOICE_ALREADY_PAID", "PAYMENT_IN_PROGRESS"}
    proved(book, policy_id, outcomes)
    assert book.balances(policy_id)["1010"] == -due
    assert book.state(policy_id) == "in_force"


def test_of_two_changes_priced_on_the_same_timeline_one_is_outdated(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.sell(person, "monthly")
    quotes = [quote_change(book, person, policy_id, day, 20_000) for day in (30, 60)]
    outcomes = at_once(*(lambda quote=quote: endorse(book, person, policy_id, quote) for quote in quotes))
    assert proved(book, policy_id, outcomes) == ["OK", "QUOTE_OUTDATED"]


def test_cancellation_and_change_at_once_leave_no_change_behind_the_end(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.sell(person)
    quote_id = quote_change(book, person, policy_id, 60, 20_000)
    cancelled, endorsed = at_once(
        lambda: cancel(book, person, policy_id, 40), lambda: endorse(book, person, policy_id, quote_id)
    )
    assert cancelled == "OK"
    assert endorsed in ("OK", "QUOTE_OUTDATED", "EFFECTIVE_DATE_INVALID")
    proved(book, policy_id, [])
    (term,) = book.contract(policy_id).policy.terms
    assert [segment.ends_on for segment in term.segments] == [book.today + timedelta(days=40)]


def test_of_two_cancellations_the_earlier_day_counts(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.sell(person)
    outcomes = at_once(*(lambda day=day: cancel(book, person, policy_id, day) for day in (50, 70)))
    assert outcomes[0] == "OK"
    assert outcomes[1] in ("OK", "EFFECTIVE_DATE_INVALID")
    proved(book, policy_id, outcomes)
    (term,) = book.contract(policy_id).policy.terms
    assert term.segments[-1].ends_on == book.today + timedelta(days=50)


def test_premium_paid_while_its_policy_was_cancelled_goes_back_and_is_not_asked_about_for_ever(
    book: Book, people: People
) -> None:
    person = people.customer()
    policy_id = book.issue(person, starts_in=3)
    ((invoice_id, due),) = book.invoices(policy_id)
    cancel(book, person, policy_id, 3, "cooling_off")
    payment = book.payments.pay(person, invoice_id)
    confirm = partial(
        book.payments.registered.run,
        "payments.confirm_premium",
        {"payment_id": str(ids.decode("pay", payment.payment_id))},
    )
    with pytest.raises(EndingAwaited):
        confirm()
    book.offset += timedelta(days=1)
    with pytest.raises(GiveUp, match="POLICY_STATE_INVALID"):
        confirm()
    book.offset -= timedelta(days=1)
    proved(book, policy_id, [])
    confirm()
    assert book.ask(
        book.payments.url, "SELECT amount FROM refunds WHERE account_id = %s", ids.decode("pol", policy_id)
    ) == [(due,)]


def test_credit_of_a_change_within_the_days_that_are_left_goes_back_with_that_of_the_end(
    book: Book, people: People
) -> None:
    person = people.customer()
    policy_id = book.sell(person)
    cancel(book, person, policy_id, 60)
    book.work()
    endorse(book, person, policy_id, quote_change(book, person, policy_id, 20, 100))
    proved(book, policy_id, [])
    refunds = book.ask(
        book.payments.url, "SELECT not_before FROM refunds WHERE account_id = %s", ids.decode("pol", policy_id)
    )
    assert refunds == [(book.today + timedelta(days=60),)] * 2
    assert "2300" not in book.balances(policy_id)


def test_two_next_terms_at_once_make_one(book: Book, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed = replace(PRODUCT, renewal=RenewalRule(400, is_automatic=True, covers_in_grace=True))
    monkeypatch.setattr(book.quotes, "rules", dict.fromkeys((1, 2), renewed))
    person = people.customer()
    policy_id = book.sell(person)
    renewals = book.policies.renewals
    asked = renewal_pb2.QuoteRenewalRequest(policy_id=policy_id)
    quote_id = renewals.QuoteRenewal(asked, metadata=person.metadata(idempotency_key=new_key())).quote_id
    book.quotes.quotes[quote_id] = replace(book.quotes.quotes[quote_id], state="accepted")
    request = renewal_pb2.RenewPolicyRequest(policy_id=policy_id, quote_id=quote_id)
    outcomes = at_once(
        *[lambda: renewals.RenewPolicy(request, metadata=person.metadata(idempotency_key=new_key()))] * 2
    )
    assert outcomes.count("OK") == 1
    assert set(outcomes) <= {"OK", "TERM_EXISTS", "POLICY_ALREADY_ISSUED", "RENEWAL_NOT_DUE"}
    proved(book, policy_id, outcomes)
    assert [term.number for term in book.contract(policy_id).policy.terms] == [1, 2]


def test_refund_that_two_workers_release_at_once_is_sent_once(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.sell(person)
    cancel(book, person, policy_id, 1)
    before = len(book.payments.provider.paid_back)
    book.work()
    book.offset += timedelta(days=2)
    ((refund_id,),) = book.ask(
        book.payments.url, "SELECT id FROM refunds WHERE account_id = %s", ids.decode("pol", policy_id)
    )
    release = partial(book.payments.registered.run, "payments.release_refund", {"refund_id": str(refund_id)})
    assert at_once(release, release) == ["OK", "OK"]
    assert len(book.payments.provider.paid_back) == before + 1
    proved(book, policy_id, [])


def test_lapse_and_payment_at_once_end_in_one_of_both(book: Book, people: People) -> None:
    person = people.customer()
    policy_id = book.sell(person, "monthly")
    book.pass_days(policy_id, 31 + 29)
    (invoice_id, _), *_ = book.invoices(policy_id)
    book.offset += timedelta(days=3)
    at_once(lambda: book.spend_night(book.contract(policy_id).policy.id), lambda: book.payments.pay(person, invoice_id))
    proved(book, policy_id, [])
    assert book.state(policy_id) in ("in_force", "lapsed")
