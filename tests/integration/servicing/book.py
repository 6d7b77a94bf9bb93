"""Policies and payments on real servers and databases, each calling the other, under a clock that tests move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from bazaruto.payments.v1 import ledger_pb2
from bazaruto.quotes.v1 import quote_pb2 as quotes_pb
from libs import clock, ids
from libs.calendar import day_of
from libs.identity.service_tokens import ServiceTokens
from libs.jobs.deferring import MOMENT
from libs.jobs.nightly import Night
from libs.money import Money
from libs.premium import LineKind
from libs.rpc.client import connect
from services.payments.billing.flows import earning, invoicing, reconciling
from services.payments.billing.jobs import dunning
from services.payments.billing.rules import invoice
from services.payments.clients import Policies as PoliciesOfPayments
from services.payments.collection import jobs as collection_jobs
from services.payments.collection.store import payments as payments_store
from services.payments.ledger.rules.period import Period
from services.policies.clients import Payments
from services.policies.clients import payments as payments_client
from services.policies.lifecycle import jobs as policies_jobs
from services.policies.lifecycle.flows import changing
from services.policies.lifecycle.rules.contract import Contract
from services.policies.lifecycle.rules.endorsement import Stretch
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ChangeRule, ProductRules, ReinstatementRule
from services.policies.lifecycle.rules.quote import Priced, Quote
from services.policies.lifecycle.rules.term import Item, Risk
from services.policies.lifecycle.store import policies as policies_store
from tests.integration.payments.house import House as PaymentsHouse
from tests.integration.payments.house import Registered
from tests.integration.policies.house import EUR, RULES, FakeQuotes, House
from tests.support import postgres
from tests.support.people import People, Person
from tests.unit.policies import proofs
from tests.unit.policies.contracts import CANCELLATIONS
from tests.unit.policies.contracts import RULES as BACKDATED

ZONE = "Africa/Maputo"
KM = 10_000
PRODUCT: ProductRules = ProductRules(
    "motor",
    1,
    taxes=RULES.taxes,
    fees=RULES.fees,
    cover=BACKDATED.cover,
    change=ChangeRule(frozenset({"customer", "underwriter"})),
    cancellations=CANCELLATIONS,
    reinstatement=ReinstatementRule(60, with_gap=True, needs_statement=False),
)
ACCOUNTS = {LineKind.PREMIUM: "2000", LineKind.TAX: "2100", LineKind.FEE: "4100", LineKind.RETENTION: "4110"}


def rate(risk: Risk) -> dict[Item, Money]:
    """What a term costs on a risk: by the kilometres, for each object and coverage."""
    km = int(str(risk.answers.get("km", KM)))
    prices = {"liability": 60000 + 3 * km, "collision": 20000 + km, "theft": 12345}
    return {
        (insured.id, coverage.code): Money(prices[coverage.code], EUR)
        for insured in risk.objects
        for coverage in risk.coverages
    }


class PricedQuotes(FakeQuotes):
    """The quotes service, which prices changes too; each is accepted at once."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = dict.fromkeys((1, 2), PRODUCT)

    def get_quote(self, quote_id: str) -> Quote:
        return self.quotes[quote_id]

    def create_change_quote(
        self, policy: Policy, timeline_sequence: int, stretches: Sequence[Stretch]
    ) -> tuple[quotes_pb.Quote, Quote | None]:
        first = next(iter(self.quotes.values()))
        quote = Quote(
            id=ids.new(),
            user_id=policy.user_id,
            created_by=policy.user_id,
            product_code=policy.product_code,
            product_version=1,
            time_zone=policy.time_zone,
            state="accepted",
            valid_until=clock.now() + timedelta(days=30),
            starts_on=stretches[0].starts_on,
            ends_on=stretches[-1].ends_on,
            premium=first.premium,
            coverages=(),
            plans={},
            kind="endorsement",
            policy_id=ids.encode("pol", policy.id),
            timeline_sequence=timeline_sequence,
            segments=tuple(Priced(each.starts_on, each.ends_on, each.risk, rate(each.risk)) for each in stretches),
        )
        quote_id = ids.encode("quo", quote.id)
        self.quotes[quote_id] = quote
        return quotes_pb.Quote(quote_id=quote_id, state=quotes_pb.Quote.STATE_ACCEPTED), quote


@dataclass(frozen=True, slots=True)
class Kept:
    """What the databases keep of a policy, as far as a refused command may not change it."""

    rows: tuple[object, ...]


class Book:
    """Both services, and their workers, which are run by hand."""

    def __init__(self, start: Callable[..., grpc.Channel], people: People, patch: pytest.MonkeyPatch) -> None:
        self.people = people
        self.offset = timedelta()
        patch.setattr(clock, "now", lambda: datetime.now(UTC) + self.offset)
        patch.setattr(clock, "offset", lambda: self.offset)
        patch.setattr(payments_client, "_MOMENT", 60.0)  # what is foreseen is compared, however busy the machine is
        self.payments = PaymentsHouse(start, postgres.new_database("payments"), people)
        to_payments = connect(self.payments.target, ServiceTokens(people.auth, "policies"))
        self.quotes = PricedQuotes()
        self.policies = House(start, postgres.new_database("policies"), self.quotes, Payments(to_payments))
        from_worker = Payments(connect(self.payments.target, ServiceTokens(people.auth, "policies-worker")))
        self.registered = Registered()
        policies_jobs.register(self.registered, self.policies.database, self.quotes, from_worker)  # type: ignore[arg-type]
        self.neighbour = PoliciesOfPayments(
            connect(self.policies.target, ServiceTokens(people.auth, "payments-worker"))
        )
        database, provider = self.payments.database, self.payments.provider
        handlers = collection_jobs.Handlers(database, provider, self.neighbour)
        collection_jobs.register(self.payments.registered, handlers)  # type: ignore[arg-type]
        self.dunning = dunning.Handlers(database, self.neighbour, self.payments.quotes, payments_store.find_is_open)
        dunning.register(self.payments.registered, self.dunning, database)  # type: ignore[arg-type]
        self._connections = {
            house.url: psycopg.connect(house.url, autocommit=True) for house in (self.policies, self.payments)
        }

    def close(self) -> None:
        """Close what is open beside the servers."""
        for connection in self._connections.values():
            connection.close()

    @property
    def now(self) -> datetime:
        """The moment that it is."""
        return clock.now()

    @property
    def today(self) -> date:
        """The day that it is where the policies are."""
        return day_of(self.now, ZONE)

    def issue(self, person: Person, plan: str = "annual", starts_in: int = 0, **quote: Any) -> str:
        """A policy that is billed, and not paid."""
        starts_on = self.today + timedelta(days=starts_in)
        quote_id = self.quotes.add(
            person,
            answers={"km": KM},
            starts_on=starts_on,
            ends_on=starts_on + timedelta(days=365),
            valid_until=self.now + timedelta(days=30),
            **quote,
        )
        policy_id = self.policies.issue(person, quote_id, plan_code=plan).policy_id
        self.work()
        return policy_id

    def sell(self, person: Person, plan: str = "annual", **fields: Any) -> str:
        """A policy whose first premium is paid."""
        policy_id = self.issue(person, plan, **fields)
        assert self.pay(person, policy_id)
        return policy_id

    def invoices(self, policy_id: str) -> list[tuple[str, int]]:
        """The invoices of a policy that can be paid, with what is due; the oldest first."""
        rows = self.ask(
            self.payments.url,
            "SELECT id, total - settled FROM invoices WHERE policy_id = %s AND status NOT IN ('paid', 'void')"
            " AND total > settled ORDER BY due_on, id",
            ids.decode("pol", policy_id),
        )
        return [(ids.encode("inv", invoice_id), due) for invoice_id, due in rows]

    def pay(self, person: Person, policy_id: str) -> bool:
        """Pay the oldest invoice; whether there is one."""
        for invoice_id, _ in self.invoices(policy_id)[:1]:
            self.payments.pay(person, invoice_id)
            self.work()
            return True
        return False

    def pass_days(self, policy_id: str, days: int) -> None:
        """Days go by; each night bills what falls due of a policy, and looks after its arrears."""
        account_id = ids.decode("pol", policy_id)
        for step in [7] * (days // 7) + [days % 7]:
            if step:
                self.offset += timedelta(days=step)
                self.spend_night(account_id)

    def spend_night(self, account_id: UUID) -> None:
        """What is done every night, of one policy."""
        database, now = self.payments.database, self.now
        with database.transaction() as session:
            due_until = now.date() + invoice.BILLED_AHEAD
            invoicing.issue_due_invoices(session, account_id, due_until, now)
        self.dunning.learn_product_terms()
        with database.transaction() as session:
            self.dunning.prepare(session, [account_id], Night(f"{now:%Y-%m-%d}", now, now))(account_id)
        self.payments.registered.run("payments.close_unpaid_policies")
        self.work()

    def earn(self, policy_id: str) -> None:
        """Earn a policy up to the end of the last month."""
        with self.payments.database.transaction() as session:
            period = Period.last_ended(self.now.date())
            earning.earn_all(session, [ids.decode("pol", policy_id)], period, self.now)

    def work(self) -> None:
        """Run every job of both services that may run now."""
        while self._work(self.policies.url, self.registered) + self._work(self.payments.url, self.payments.registered):
            pass

    def _work(self, url: str, registered: Registered) -> int:
        done = 0
        query = (
            "SELECT id, task_name, args FROM procrastinate_jobs WHERE status = 'todo'"
            f" AND coalesce((args ->> '{MOMENT}')::timestamptz, '-infinity') <= %s ORDER BY id LIMIT 1"
        )
        while rows := self.ask(url, query, self.now):
            ((job_id, name, arguments),) = rows
            registered.run(name, arguments)
            self._connections[url].execute(
                "UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id = %s", (job_id,)
            )
            done += 1
        return done

    def ask(self, url: str, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a database says."""
        return self._connections[url].execute(query, values).fetchall()

    def contract(self, policy_id: str) -> Contract:
        """A policy with its whole stack."""
        with self.policies.database.reading(fresh=True) as session:
            policy = policies_store.find(session, ids.decode("pol", policy_id))
            assert policy is not None
            return changing.load(session, policy, self.quotes.rules)

    def state(self, policy_id: str) -> str:
        """How a policy stands."""
        return self.contract(policy_id).policy.state(self.now)

    def balances(self, policy_id: str) -> dict[str, int]:
        """What the accounts of a policy show: credits less debits."""
        rows = self.ask(
            self.payments.url,
            "SELECT account_code, sum(CASE side WHEN 'credit' THEN amount ELSE -amount END)::bigint FROM postings"
            " JOIN journals ON journals.id = journal_id WHERE policy_id = %s GROUP BY 1",
            ids.decode("pol", policy_id),
        )
        return {account: amount for account, amount in rows if amount}

    def kept(self) -> Kept:
        """What is written down in both databases, beside logs of sessions and reads."""
        policies = self.ask(
            self.policies.url,
            "SELECT (SELECT count(*) FROM policy_transactions), (SELECT count(*) FROM timelines),"
            " (SELECT count(*) FROM approvals), (SELECT count(*) FROM audit_events), (SELECT sum(version) FROM"
            " policies), (SELECT count(*) FROM procrastinate_jobs), (SELECT count(*) FROM idempotency_keys),"
            " (SELECT count(*) FROM policy_objects), (SELECT count(*) FROM policy_parties)",
        )
        payments = self.ask(
            self.payments.url,
            "SELECT (SELECT count(*) FROM applied_transactions), (SELECT count(*) FROM journals),"
            " (SELECT count(*) FROM payments), (SELECT count(*) FROM invoices), (SELECT sum(settled) FROM invoices),"
            " (SELECT count(*) FROM refunds), (SELECT count(*) FROM audit_events), (SELECT count(*) FROM credits),"
            " (SELECT count(*) FROM procrastinate_jobs), (SELECT count(*) FROM schedules),"
            " (SELECT sum(version) FROM billing_accounts)",
        )
        return Kept((*policies, *payments))

    def check(self, policy_id: str) -> None:
        """The timeline, billing and the books say the same of a policy."""
        made = self.contract(policy_id)
        proofs.check_contract(made)
        account_id = made.policy.id
        charged: dict[tuple[str, str, str, int], int] = {}
        for line in (line for item in made.stack for line in item.lines):
            tax_code = line.charge_code if line.kind is LineKind.TAX else ""
            key = (ACCOUNTS[line.kind], line.coverage_code, tax_code, line.term_number)
            charged[key] = charged.get(key, 0) + line.amount.minor
        booked = self.ask(
            self.payments.url,
            "SELECT CASE account_code WHEN '4000' THEN '2000' ELSE account_code END, coverage_code, tax_code,"
            " term_number, sum(CASE side WHEN 'credit' THEN amount ELSE -amount END)::bigint FROM postings"
            " JOIN journals ON journals.id = journal_id WHERE policy_id = %s"
            " AND account_code IN ('2000', '2100', '4000', '4100', '4110') GROUP BY 1, 2, 3, 4",
            account_id,
        )
        assert {(*key,): amount for *key, amount in booked if amount} == {
            key: amount for key, amount in charged.items() if amount
        }, "the books do not show the lines of the transactions"
        database = self.payments.database
        before = UUID(int=account_id.int - 1)
        compared = reconciling.compare(database, self.neighbour.sum_written, before, 1, self.now + timedelta(hours=1))
        assert compared == {account_id: []}, "policies, billing and the ledger differ"
        request = ledger_pb2.GetPolicyLedgerRequest(policy_id=policy_id)
        proof = self.payments.ledger.GetPolicyLedger(request, metadata=self.people.admin().metadata())
        assert not [line for line in proof.lines if line.difference.units or line.difference.nanos]
        self._check_accounts(account_id)

    def _check_accounts(self, account_id: UUID) -> None:
        """No payable is below nothing at any time, nor what is owed at the end; no more is earned than was written, nor
        paid back than came in.
        """
        running = self.ask(
            self.payments.url,
            "SELECT account_code, min(balance)::bigint FROM (SELECT account_code, sum(sum(CASE side WHEN 'credit' THEN"
            " amount ELSE -amount END)) OVER (PARTITION BY account_code ORDER BY journals.id) AS balance"
            " FROM postings JOIN journals ON journals.id = journal_id WHERE policy_id = %s AND account_code IN"
            " ('2300', '2310') GROUP BY account_code, journals.id) AS sums GROUP BY 1",
            account_id,
        )
        assert all(least >= 0 for _, least in running), "a payable was below nothing"
        balances = self.balances(ids.encode("pol", account_id))
        assert all(balances.get(account, 0) <= 0 for account in ("1100", "1105")), "a negative receivable"
        assert all(balances.get(account, 0) >= 0 for account in ("2000", "4000")), "more is earned than was written"
        ((captured, refunded),) = self.ask(
            self.payments.url,
            "SELECT (SELECT coalesce(sum(payments.amount), 0)::bigint FROM payments JOIN invoices ON invoices.id ="
            " invoice_id WHERE policy_id = %s AND payments.status = 'succeeded'), (SELECT"
            " coalesce(sum(part.amount), 0)::bigint FROM refund_parts AS part JOIN refunds ON refunds.id = refund_id"
            " WHERE account_id = %s AND part.status NOT IN ('failed', 'returned'))",
            account_id,
            account_id,
        )
        assert refunded <= captured, "more was paid back than was paid"

    def check_books(self) -> None:
        """Every journal balances in one currency, with amounts above nothing; and so does every cut through them."""
        unbalanced = self.ask(
            self.payments.url,
            "SELECT journal_id FROM postings GROUP BY 1 HAVING sum(CASE side WHEN 'credit' THEN amount ELSE -amount"
            " END) <> 0 OR min(amount) <= 0",
        )
        assert not unbalanced
        cuts = self.ask(
            self.payments.url,
            "SELECT effective_on, booked_at::date FROM postings JOIN journals ON journals.id = journal_id GROUP BY"
            " 1, 2, currency HAVING sum(CASE side WHEN 'credit' THEN amount ELSE -amount END) <> 0",
        )
        assert not cuts
        assert not self.ask(self.payments.url, "SELECT rule, source_id FROM journals GROUP BY 1, 2 HAVING count(*) > 1")
        assert not self.ask(
            self.payments.url,
            "SELECT refunds.id FROM refunds JOIN refund_parts AS part ON refund_id = refunds.id AND attempt = 1"
            " GROUP BY refunds.id, refunds.amount HAVING sum(part.amount) <> refunds.amount",
        )
        assert all(money.units == money.nanos == 0 for money in self.payments.trial_balance().differences)
