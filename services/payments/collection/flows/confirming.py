"""What becomes of a first premium that lets no cover begin, because the term ended while it was being paid."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from libs import ids
from libs.calendar import day_of
from libs.errors import Conflict
from services.payments.billing.flows import refunding
from services.payments.billing.rules import arrears
from services.payments.billing.rules.invoice import Invoice
from services.payments.billing.store import dunning

_ENDING_COMES_WITHIN = timedelta(days=1)
"""How long the transaction that ended a term is waited for before somebody has to look."""


class EndingAwaited(Conflict):
    """The transaction that ended the term is on its way."""

    reason = "CONCURRENT_CHANGE"


def leave_to_ending(session: Session, first: Invoice, paid_at: datetime, now: datetime) -> bool:
    """Leave a first premium that policies does not take to the transaction that ended its term: that one has made
    credit of the money, and credit is paid out where the policy has ended. Once more, it changes nothing.

    `EndingAwaited` as long as that transaction may be on its way; False when none has come.
    """
    changes = dunning.find_changes(session, [first.policy_id])[first.policy_id]
    if arrears.begins_no_cover(changes, first.term_number, day_of(paid_at, first.time_zone)):
        refunding.pay_out_credit(session, first.policy_id, now)
        return True
    if now < paid_at + _ENDING_COMES_WITHIN:
        raise EndingAwaited(policy_id=ids.encode("pol", first.policy_id))
    return False
