"""Payment methods that payers keep, and what is collected with them, on a real server and database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from bazaruto.payments.v1 import payment_method_pb2 as methods_pb
from tests.integration.payments.test_accounts import account_of, add_method, remove, update
from tests.integration.payments.test_applying import Contract, contract
from tests.support.errors import reason_of
from tests.support.people import People, new_key

__all__ = ["contract"]


def test_payment_method_is_not_removed_while_an_account_takes_it(contract: Contract) -> None:
    contract.issue(12)

    def outcome(call: Callable[..., object], *arguments: str, **fields: Any) -> str:
        try:
            call(contract, *arguments, **fields)
        except grpc.RpcError as error:
            return reason_of(error)
        return "done"

    for _ in range(5):
        method_id = add_method(contract).payment_method_id
        chosen = {"autopay": True, "payment_method_id": method_id}
        with ThreadPoolExecutor(2) as pool:
            taken = pool.submit(outcome, update, *chosen, **chosen)
            removed = pool.submit(outcome, remove, method_id)
        assert (taken.result(), removed.result()) in {("done", "METHOD_IN_USE"), ("INVALID_FIELD", "done")}


def test_one_payment_method_is_the_default(contract: Contract) -> None:
    first, second = add_method(contract), add_method(contract, "pm_card_action")
    assert (first.is_default, second.is_default) == (True, False)
    request = methods_pb.SetDefaultPaymentMethodRequest(payment_method_id=second.payment_method_id)
    contract.house.methods.SetDefaultPaymentMethod(
        request, metadata=contract.person.metadata(idempotency_key=new_key())
    )
    listed = contract.house.methods.ListPaymentMethods(
        methods_pb.ListPaymentMethodsRequest(), metadata=contract.person.metadata()
    ).payment_methods
    assert [(item.payment_method_id, item.is_default) for item in listed] == [
        (second.payment_method_id, True),
        (first.payment_method_id, False),
    ]


def test_payment_method_is_shown_to_nobody_but_its_payer(contract: Contract, people: People) -> None:
    added = add_method(contract)
    request = methods_pb.GetPaymentMethodRequest(payment_method_id=added.payment_method_id)
    assert contract.house.methods.GetPaymentMethod(request, metadata=contract.person.metadata()) == added
    with pytest.raises(grpc.RpcError) as refused:
        contract.house.methods.GetPaymentMethod(request, metadata=people.customer().metadata())
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"


def test_first_premium_is_collected_with_a_method_that_the_payer_keeps(contract: Contract) -> None:
    method = add_method(contract)
    contract.issue(payment_method_id=method.payment_method_id)
    contract.house.work()
    assert contract.house.rows("SELECT status FROM invoices") == [("paid",)]
    assert contract.house.rows("SELECT is_kept FROM payment_methods") == [(True,)]
    account = account_of(contract)
    assert (account.payment_method_id, account.autopay) == (method.payment_method_id, False)


@pytest.mark.parametrize("is_removed", [False, True])
def test_method_that_the_payer_does_not_keep_leaves_the_first_invoice_open(
    contract: Contract, people: People, is_removed: bool
) -> None:
    method = add_method(contract, person=contract.person if is_removed else people.customer())
    if is_removed:
        remove(contract, method.payment_method_id)
    contract.issue(payment_method_id=method.payment_method_id)
    contract.house.work()
    assert contract.house.rows("SELECT status FROM invoices") == [("open",)]
    assert account_of(contract).payment_method_id == ""


def test_unknown_token_is_refused(contract: Contract) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        add_method(contract, "pm_card_of_nobody")
    assert reason_of(refused.value) == "PAYMENT_METHOD_INVALID"


def test_token_for_the_first_premium_is_forgotten_when_it_is_collected(contract: Contract) -> None:
    contract.issue(payment_method="pm_card_ok")
    assert contract.house.rows("SELECT count(*) FROM payment_methods") == [(1,)]
    contract.house.work()
    assert contract.house.rows("SELECT count(*) FROM payment_methods") == [(0,)]
    assert contract.house.rows("SELECT status FROM invoices") == [("paid",)]
