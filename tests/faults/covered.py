"""Which flow is killed at each place where a service begins a transaction or calls a neighbour.

A place that is in none of these lists fails a test: whoever adds one adds a flow that passes it, or says why none is
needed. That a flow passes the places that it is named for is seen when it is killed there.
"""

from __future__ import annotations

from typing import Final

KILLED: Final[dict[str, tuple[str, ...]]] = {
    "purchase": (
        "quotes.quoting.servicer.quotes QuoteServicer.CreateQuote transaction",
        "quotes.quoting.servicer.quotes QuoteServicer.AcceptQuote transaction",
        "policies.lifecycle.servicer.policies PolicyServicer.IssuePolicy transaction 2",
        "policies.lifecycle.jobs Handlers.apply_transaction apply_transaction",
        "policies.lifecycle.jobs Handlers.apply_transaction transaction",
        "policies.lifecycle.jobs Handlers.bind_quote bind_quote",
        "quotes.quoting.servicer.policies PolicyCalls.BindQuote transaction",
        "payments.billing.servicer.billing BillingServicer.ApplyPolicyTransaction transaction",
        "payments.collection.jobs Handlers.collect transaction",
        "payments.collection.jobs Handlers.collect transaction 2",
        "payments.collection.adapters.sandbox Sandbox.charge transaction",
        "payments.collection.jobs Handlers.confirm_premium activate_policy",
        "policies.lifecycle.servicer.neighbours NeighbourCalls.ActivatePolicy transaction",
    ),
    "endorsement": (
        "policies.lifecycle.servicer.endorsements EndorsementCalls.QuoteEndorsement create_change_quote",
        "quotes.quoting.servicer.policies PolicyCalls.CreatePolicyQuote transaction",
        "policies.lifecycle.servicer.changing Changing._changed transaction",
    ),
    "cancellation": (
        "payments.collection.flows.refunding release transaction",
        "payments.collection.flows.refunding release transaction 2",
        "payments.collection.adapters.sandbox Sandbox.refund transaction",
    ),
    "refund whose process died": ("payments.collection.flows.refunding settle transaction",),
    "reversal": (
        "policies.lifecycle.servicer.asking Asking._asked transaction",
        "policies.lifecycle.servicer.approvals ApprovalServicer.DecidePolicyApproval transaction",
    ),
    "dunning": (
        "payments.billing.jobs.dunning Handlers.learn_product_terms transaction",
        "payments.billing.jobs.dunning Handlers.tell_delinquency record_delinquency",
        "policies.lifecycle.servicer.delinquencies DelinquencyCalls.RecordDelinquency transaction",
        "libs.jobs.nightly _begin transaction",
        "libs.jobs.nightly _do_batch transaction",
    ),
    "payment in grace": (
        "payments.collection.servicer PaymentServicer.PayInvoice transaction",
        "payments.collection.servicer PaymentServicer.PayInvoice transaction 2",
    ),
    "payment that waits for its payer": (
        "payments.collection.servicer PaymentServicer.ConfirmPayment transaction",
        "payments.collection.adapters.sandbox Sandbox.confirm transaction",
    ),
    "payment whose process died": (
        "payments.collection.flows.collecting settle transaction",
        "payments.collection.adapters.sandbox Sandbox.cancel transaction",
    ),
    "payment under way when the policy ended": ("payments.billing.jobs refund_credit transaction",),
    "lapse": (
        "payments.billing.jobs.dunning Handlers.lapse_policy lapse_policy",
        "policies.lifecycle.servicer.delinquencies DelinquencyCalls.LapsePolicy transaction",
    ),
    "night of offers": (
        "libs.jobs.nightly _do_alone transaction",
        "libs.jobs.nightly _do_alone transaction 3",
        "policies.lifecycle.jobs Renewals._quoted quote_next_term",
        "policies.lifecycle.jobs Renewals.offer transaction",
    ),
    "no next term": ("policies.lifecycle.servicer.renewals RenewalServicer.SetRenewalPreference transaction",),
    "renewal by its holder": ("policies.lifecycle.servicer.renewals RenewalServicer.QuoteRenewal quote_next_term",),
    "renewal by itself": (
        "policies.lifecycle.jobs Renewals.renew transaction",
        "payments.billing.jobs issue_due_invoices transaction",
    ),
    "next term that is not taken": (
        "payments.collection.jobs Handlers.close_unpaid_policies close_not_taken",
        "policies.lifecycle.servicer.neighbours NeighbourCalls.CloseNotTaken transaction",
    ),
    "transfer": ("policies.lifecycle.servicer.parties PartyCalls._handed_over transaction",),
    "another partner": (
        "policies.lifecycle.servicer.parties PartyCalls.PartyChanged transaction",
        "policies.lifecycle.flows.transferring serve_by transaction",
    ),
    "earning that was asked for": ("payments.ledger.servicer LedgerServicer.RunEarning transaction",),
    "night of reconciling": ("libs.jobs.nightly _do_asked transaction",),
    "sums of days": ("payments.ledger.jobs close_days transaction",),
}
"""The places, by a flow that is killed there. Most are passed by others too."""

READS: Final = frozenset(
    {
        "check_customer",
        "find_priced",
        "get_product_rules",
        "get_quote",
        "next_due_on",
        "partner_of",
        "past_due_of",
        "payer_of",
        "preview_transaction",
        "terms_of",
    }
)
"""Methods of neighbours that only tell something: whoever dies behind their answer has changed nothing with them."""

ELSEWHERE: Final[dict[str, str]] = {
    "users.": "who people are and what they may do, in one transaction a call: no flow of policies goes through it",
    "quotes.main ": "a deployment, which is repeated",
    "quotes.catalogue.": "products, in one transaction a call",
    "quotes.impact.": "what prices would be: nothing follows from it",
    "quotes.quoting.jobs ": "tidying, each batch by itself",
    "quotes.quoting.servicer.changing ": "a draft, in one transaction a call: nothing follows from it",
    "quotes.quoting.servicer.quotes QuoteServicer.CloneQuote ": "a draft, in one transaction",
    "quotes.quoting.servicer.referrals ": "decisions before there is a policy, in one transaction a call",
    "payments.billing.servicer.billing BillingServicer.UpdateBillingAccount ": "a setting, in one transaction",
    "payments.billing.servicer.delinquencies ": "a suspension, in one transaction; policies is told as by dunning",
    "payments.billing.servicer.invoices ": "policies of programs of before",
    "payments.billing.servicer.payment_methods ": "a setting, in one transaction a call",
    "payments.billing.servicer.refunds ": "a refund by hand, in one transaction a call; it is sent as any other",
    "policies.lifecycle.servicer.beneficiaries ": "a setting, in one transaction",
    "policies.lifecycle.jobs Handlers.open_billing ": "policies of programs of before",
    "policies.lifecycle.jobs Handlers.write_timelines ": "policies of programs of before",
    "libs.jobs.nightly carry_out ": "the next job of a run that takes longer than a minute",
    "libs.jobs.nightly _do_alone transaction 2": "gives a run back that failed; who dies there leaves it to its lease",
    "payments.billing.jobs.dunning Handlers.lapse_policy transaction": "a lapse that another end forestalled, repeated",
    "payments.collection.jobs Handlers.confirm_credit ": "as a first premium that was paid, and the same call",
    "payments.collection.jobs Handlers._begin_cover ": "a premium of a term that ended: one transaction, repeated",
    "payments.collection.adapters.sandbox Sandbox.find_refund ": "the provider's own book",
    "policies.lifecycle.servicer.policies PolicyServicer.IssuePolicy transaction": "a preview: nothing is kept",
}
"""Places that need no flow, and why. One that ends with a point or a space stands for all that begin with it."""


def is_elsewhere(name: str) -> bool:
    """Whether a place needs no flow."""
    return any(name.startswith(known) if known[-1] in ". " else name == known for known in ELSEWHERE)
