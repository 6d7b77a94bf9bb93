"""Premium that is past due: dunning, payment, lapse, and what puts the policy back."""

from __future__ import annotations

from datetime import timedelta

from bazaruto.payments.v1 import payment_pb2
from bazaruto.policies.v1 import approval_pb2, reinstatement_pb2
from libs import clock, ids
from services.payments.billing.kinds import LEARN_PRODUCT_TERMS, RUN_DUNNING
from tests.faults.flows.changes import cancel, endorse, wait
from tests.faults.flows.flow import Case, Flow, bought
from tests.faults.world import World

_STATEMENT = "Nothing happened."
_PATIENCE = 3  # times that a payer looks what became of a payment


def unpaid_invoice(world: World, case: Case) -> str:
    """The invoice that is past due first."""
    key = ids.decode("pol", case.policy_id)
    query = f"SELECT id FROM invoices WHERE policy_id = '{key}' AND status IN ('open', 'partly_paid') ORDER BY due_on"
    return ids.encode("inv", world.rows("payments", query)[0][0])


def _unpaid(world: World) -> Case:
    """A policy with a bill that nobody pays, on the day after it was due."""
    case = bought("annual")(world)
    endorse(world, case, in_days=1)
    key = ids.decode("pol", case.policy_id)
    ((due_on,),) = world.rows("payments", f"SELECT max(due_on) FROM invoices WHERE policy_id = '{key}'")
    world.move_to(clock.now() + (due_on - world.today) + timedelta(days=1))
    return case


def dun(world: World, case: Case) -> None:
    """A night in which it is looked for what is past due."""
    world.come_due(RUN_DUNNING)


def dun_first(world: World, case: Case) -> None:
    """The night in which a premium is found past due, and what its product says of it is learnt."""
    world.come_due(LEARN_PRODUCT_TERMS)
    dun(world, case)


def _dunned(world: World) -> Case:
    case = _unpaid(world)
    dun_first(world, case)
    return case


def pay(world: World, case: Case, card: str = "pm_card_ok") -> None:
    """Pay what is past due."""
    request = payment_pb2.PayInvoiceRequest(invoice_id=unpaid_invoice(world, case), payment_method=card)
    payment = world.call(world.payments.PayInvoice, request, case.person)
    for _ in range(_PATIENCE):
        if payment.state == payment_pb2.Payment.STATE_REQUIRES_ACTION:
            confirm = payment_pb2.ConfirmPaymentRequest(payment_id=payment.payment_id)
            world.call(world.payments.ConfirmPayment, confirm, case.person)
        world.deliver()
        asked = payment_pb2.GetPaymentRequest(payment_id=payment.payment_id)
        payment = world.call(world.payments.GetPayment, asked, case.person)
        if payment.state == payment_pb2.Payment.STATE_SUCCEEDED:
            return
        if payment.state == payment_pb2.Payment.STATE_CANCELED:  # it was given up, with no money moved
            payment = world.call(world.payments.PayInvoice, request, case.person)


def pay_with_action(world: World, case: Case) -> None:
    """Pay what is past due with a card whose holder has to agree."""
    pay(world, case, "pm_card_action")


def _given_up(world: World) -> Case:
    """The process that was to charge a payment died before it asked the provider."""
    case = _dunned(world)
    request = payment_pb2.PayInvoiceRequest(invoice_id=unpaid_invoice(world, case), payment_method="pm_card_ok")
    with world.points.watching(lambda step, number: number == 1):
        world.call(world.payments.PayInvoice, request, case.person)
    return case


def _under_way(world: World) -> Case:
    """A policy that was cancelled while its payer was asked to agree to a payment."""
    case = _dunned(world)
    request = payment_pb2.PayInvoiceRequest(invoice_id=unpaid_invoice(world, case), payment_method="pm_card_action")
    world.call(world.payments.PayInvoice, request, case.person)
    cancel(world, case, within=timedelta(minutes=1))
    return case


def agree(world: World, case: Case) -> None:
    """The payer agrees to the payment: what it pays is paid back."""
    key = ids.decode("pol", case.policy_id)
    ((payment_id,),) = world.rows(
        "payments", f"SELECT id FROM payments WHERE account_id = '{key}' AND status = 'requires_action'"
    )
    request = payment_pb2.ConfirmPaymentRequest(payment_id=ids.encode("pay", payment_id))
    world.call(world.payments.ConfirmPayment, request, case.person)
    world.deliver(timedelta(days=20))


def _in_last_days(world: World) -> Case:
    """A policy in the night in which its grace ends; all steps before were done."""
    case = _dunned(world)
    for day in (3, 10, 15, 30):
        key = ids.decode("pol", case.policy_id)
        ((due_on,),) = world.rows("payments", f"SELECT due_on FROM delinquencies WHERE account_id = '{key}'")
        world.move_to(clock.now() + (due_on - world.today) + timedelta(days=day))
        if day < 30:
            dun(world, case)
    return case


def lapse(world: World, case: Case) -> None:
    """Grace is over: the policy lapses, and what was paid for the days behind it is paid back."""
    dun(world, case)
    world.deliver(timedelta(days=20))


def _lapsed(world: World) -> Case:
    case = _in_last_days(world)
    lapse(world, case)
    return case


def reinstate(world: World, case: Case) -> None:
    """The holder asks for the policy to be put back as if nothing had happened; an underwriter agrees."""
    request = reinstatement_pb2.ReinstatePolicyRequest(policy_id=case.policy_id, no_loss_statement=_STATEMENT)
    asked = world.call(world.policies.ReinstatePolicy, request, case.person)
    decide = approval_pb2.DecidePolicyApprovalRequest(
        approval_id=asked.approval_id, decision=approval_pb2.DecidePolicyApprovalRequest.DECISION_APPROVE
    )
    world.call(world.approvals.DecidePolicyApproval, decide, world.people.user("underwriter"))
    world.deliver()


def reinstate_with_gap(world: World, case: Case) -> None:
    """An underwriter puts the policy back from tomorrow on."""
    request = reinstatement_pb2.ReinstatePolicyRequest(
        policy_id=case.policy_id, no_loss_statement=_STATEMENT, with_gap=True
    )
    world.call(world.policies.ReinstatePolicy, request, world.people.user("underwriter"))
    world.deliver()


FLOWS = (
    Flow("dunning", _unpaid, dun_first),
    Flow("payment in grace", _dunned, pay),
    Flow("payment that waits for its payer", _dunned, pay_with_action),
    Flow("payment whose process died", _given_up, wait),
    Flow("payment under way when the policy ended", _under_way, agree),
    Flow("lapse", _in_last_days, lapse),
    Flow("reinstatement", _lapsed, reinstate),
    Flow("reinstatement with a gap", _lapsed, reinstate_with_gap),
)
