"""Invoices and payments are listed for their owners, whoever calls."""

from __future__ import annotations

from uuid import UUID

from services.payments.billing.store import invoices
from services.payments.collection.store import payments
from tests.integration.payments.house import House
from tests.support.people import People
from tests.support.scopes import check_list


def paid_by(house: House, people: People) -> UUID:
    """Somebody with an invoice and its payment."""
    person = people.customer()
    house.pay(person, house.invoice_of(person))
    assert person.id is not None
    return person.id


def test_lists_of_invoices_and_payments_never_show_those_of_others(house: House, people: People) -> None:
    owners = [paid_by(house, people) for _ in range(4)]
    with house.database.reading() as session:
        check_list(
            owners, lambda scope: [invoice.user_id for invoice in invoices.list_of(session, scope, None, None, 100)]
        )
        check_list(
            owners, lambda scope: [payment.user_id for payment in payments.list_of(session, scope, None, None, 100)]
        )
