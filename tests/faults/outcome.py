"""What comes of a flow: all that is to be the same whatever was killed."""

from __future__ import annotations

from libs import ids
from tests.faults.flows import Case
from tests.faults.world import World

_OF_POLICIES = {
    "transactions": """
        SELECT sequence, type, effective_on, premium_change, billing_sequence FROM policy_transactions
        WHERE policy_id = '{0}' ORDER BY sequence""",
    "delinquency": "SELECT state, version FROM delinquencies WHERE policy_id = '{0}'",
    "policy": "SELECT version, activated_at IS NULL FROM policies WHERE id = '{0}'",
    "audited": "SELECT action, count(*) FROM audit_events WHERE resource = '{1}' GROUP BY action ORDER BY action",
    "offers": "SELECT term_number, starts_on, timeline_sequence FROM renewals WHERE policy_id = '{0}'",
    "tokens": "SELECT count(*) FROM payment_methods WHERE policy_id = '{0}'",
}
_OF_PAYMENTS = {
    "applied": "SELECT sequence, kind, total FROM applied_transactions WHERE account_id = '{0}' ORDER BY sequence",
    "invoices": """
        SELECT installment_number, status, total, settled, due_on FROM invoices WHERE policy_id = '{0}'
        ORDER BY due_on, total""",
    "payments": """
        SELECT amount, status FROM payments WHERE account_id = '{0}' AND status <> 'canceled' ORDER BY created_at""",
    "charges": """
        SELECT c.amount, c.status FROM sandbox_charges AS c JOIN payments AS p ON p.id = c.payment_id
        WHERE p.account_id = '{0}' AND c.status <> 'canceled' ORDER BY p.created_at""",
    "refunds": "SELECT amount, status FROM refunds WHERE account_id = '{0}' ORDER BY created_at",
    "paid back": """
        SELECT s.amount, s.status, f.status FROM sandbox_refunds AS s JOIN payments AS p ON p.id = s.payment_id
            LEFT JOIN refund_parts AS f ON f.id = s.refund_id
        WHERE p.account_id = '{0}' ORDER BY s.created_at""",
    "credit": "SELECT coalesce(sum(amount), 0) FROM credits WHERE account_id = '{0}'",
    "planned": """
        SELECT i.state, count(*) FROM schedule_installments AS i JOIN schedules AS s ON s.id = i.schedule_id
        WHERE s.account_id = '{0}' GROUP BY i.state ORDER BY i.state""",
    "delinquency": "SELECT state, version, amount, ending FROM delinquencies WHERE account_id = '{0}' ORDER BY version",
    "earned": "SELECT sequence, earned_until, ends_on FROM earnings WHERE policy_id = '{0}'",
    "dunned": """
        SELECT number, action FROM dunning_steps AS s JOIN delinquencies AS d ON d.id = s.delinquency_id
        WHERE account_id = '{0}' ORDER BY number""",
    "books": """
        SELECT rule, account_code, side, count(*), sum(amount) FROM journals JOIN postings ON journal_id = id
        WHERE policy_id = '{0}' GROUP BY rule, account_code, side ORDER BY rule, account_code, side""",
}
_OF_RUNS = {
    # Not how many are done: what a process did by itself that then died is not listed again, and so not counted.
    "runs": """
        SELECT name, split_part(occasion, ',', 1), expected, parked, ended_at IS NULL FROM nightly_runs
        ORDER BY name, occasion""",
    "parked": "SELECT name, item_id, reason, tries FROM parked_items ORDER BY name, item_id",
}
_OF_BOOKS = {
    "sums of days": """
        SELECT effective_on, account_code, sum(debits), sum(credits) FROM ledger_days
        GROUP BY effective_on, account_code ORDER BY effective_on, account_code""",
    "differences": "SELECT policy_id, kind, item FROM reconciliation_differences ORDER BY policy_id, kind, item",
}


def outcome(world: World, case: Case) -> dict[str, object]:
    """What the databases say of the policies of a case, and of the runs that went through them."""
    said: dict[str, object] = {}
    for service in ("policies", "payments"):
        of_service = _OF_RUNS | (_OF_BOOKS if service == "payments" else {})
        for name, query in of_service.items():
            said[f"{service}: {name}"] = world.rows(service, query)
    for number, policy_id in enumerate((case.policy_id, *case.others), 1):
        key = ids.decode("pol", policy_id)
        for service, queries in (("policies", _OF_POLICIES), ("payments", _OF_PAYMENTS)):
            for name, query in queries.items():
                said[f"{service}: {name} of {number}"] = world.rows(service, query.format(key, policy_id))
        said[f"quotes of {number}"] = world.rows(
            "quotes",
            "SELECT kind, state, bound_transaction_id IS NULL FROM quotes"
            f" WHERE policy_id = '{key}' ORDER BY created_at",
        )
    return said
