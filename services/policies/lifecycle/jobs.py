"""What follows from an issued policy, in the background. A job that runs twice changes nothing the second time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from libs import ids
from libs.db import Database
from libs.errors import AlreadyExists, Refused
from libs.jobs import JobRunner, required
from libs.jobs.nightly import Alone, Night, Run
from libs.rpc import calls, giving_up, idempotency
from libs.rpc.errors import RemoteError
from services.policies.clients import Payments, Quotes
from services.policies.lifecycle.flows import billing, changing, dating, renewing
from services.policies.lifecycle.flows.renewing import Standing
from services.policies.lifecycle.kinds import (
    APPLY_TRANSACTION,
    BIND_QUOTE,
    OFFER_RENEWALS,
    OPEN_BILLING,
    REAP_KEYS,
    RENEW_DUE,
    WRITE_TIMELINES,
    ApplyTransaction,
    BindQuote,
    OpenBilling,
)
from services.policies.lifecycle.rules import renewal
from services.policies.lifecycle.rules.policy import Policy
from services.policies.lifecycle.rules.product import ProductRules
from services.policies.lifecycle.rules.renewal import Offer, Preference
from services.policies.lifecycle.store import payment_methods, policies, renewals, timelines, transactions

log = structlog.get_logger("policies")

_BATCH = 100  # policies of before that are listed at once


class TimelinesMissing(RuntimeError):
    """Policies of before could not be given a timeline."""


class Handlers:
    """What to do for each kind of job."""

    def __init__(self, database: Database, quotes: Quotes, payments: Payments) -> None:
        self._database = database
        self._quotes = quotes
        self._payments = payments

    def apply_transaction(self, job: ApplyTransaction) -> None:
        """Have payments bill and book what a transaction changes, and forget the token for the first premium.

        Out of order, it is refused and tried again: the one before it is on its way.
        """
        with self._database.reading(fresh=True) as session:
            transaction = required(
                transactions.find(session, job.policy_id, job.transaction_id), "transaction", job.transaction_id
            )
            policy = required(
                policies.find_at_sequence(session, job.policy_id, transaction.sequence), "policy", job.policy_id
            )
            written = timelines.find_written(session, transaction.id)
            token = payment_methods.find(session, policy.id)
        terms = [term for term in policy.terms if term.number in written]
        settlement = billing.settlement_of(job, policy.terms[0].currency)
        with giving_up.when_refused():
            self._payments.apply_transaction(
                policy, transaction, terms, settlement, job.installments, token, job.method_id
            )
        if token:
            with self._database.transaction() as session:
                payment_methods.delete(session, policy.id)

    def open_billing(self, job: OpenBilling) -> None:
        """Have payments bill the policy, and forget the token for the first premium."""
        policy = self._find(job.policy_id)
        with self._database.reading() as session:
            first = transactions.list_behind(session, policy.id, 0, 1)[0]
            token = payment_methods.find(session, policy.id) or job.payment_method
        with giving_up.when_refused():
            self._payments.open_billing(policy, first, job.installments, token)
        with self._database.transaction() as session:
            payment_methods.delete(session, policy.id)

    def bind_quote(self, job: BindQuote) -> None:
        """Tell quotes by which transaction a quote was taken."""
        policy = self._find(job.policy_id)
        with self._database.reading() as session:
            if job.transaction_id is None:
                transaction = transactions.list_behind(session, policy.id, 0, 1)[0]
            else:
                asked = transactions.find(session, policy.id, job.transaction_id)
                transaction = required(asked, "transaction", job.transaction_id)
        with giving_up.when_refused():
            self._quotes.bind_quote(policy, transaction)

    def write_timelines(self) -> None:
        """Write the timelines of policies of before. One that cannot be written is passed over, and told of."""
        after, failed = UUID(int=0), 0
        while batch := self._without_timeline(after):
            for policy_id in batch:
                try:
                    quote = self._quotes.get_quote(ids.encode("quo", self._find(policy_id).quote_id))
                    with self._database.transaction() as session:
                        dating.write_timeline(session, policy_id, quote)
                except (RemoteError, dating.PremiumDiffers) as error:
                    failed += 1
                    log.error("timeline not written", policy_id=ids.encode("pol", policy_id), reason=str(error))
            after = batch[-1]
        if failed:
            raise TimelinesMissing(f"{failed} policies of before have no timeline yet; the log names them")

    def _without_timeline(self, after: UUID) -> Sequence[UUID]:
        with self._database.reading(fresh=True) as session:
            return policies.list_without_timeline(session, after, _BATCH)

    def _find(self, policy_id: UUID) -> Policy:
        with self._database.reading() as session:
            return required(policies.find(session, policy_id), "policy", policy_id)


class Renewals:
    """Offering next terms, and beginning those that are due. Quotes is asked with no transaction open."""

    def __init__(self, database: Database, quotes: Quotes) -> None:
        self._database = database
        self._quotes = quotes
        self._offer_days_of: tuple[str, list[tuple[str, int, int]]] = ("", [])
        """The night for which it is known when the next terms of which products are offered."""

    def list_to_offer(self, session: Session, night: Night, after: UUID, limit: int) -> Sequence[UUID]:
        """Policies whose next term is due to be offered."""
        return renewals.list_to_offer(session, self._offer_days(session, night), night.at, after, limit)

    def count_to_offer(self, session: Session, night: Night) -> int:
        """How many these are."""
        return renewals.find_number_to_offer(session, self._offer_days(session, night), night.at)

    def offer(self, policy_id: UUID, night: Night) -> None:
        """Have the next term of a policy quoted, and say that it is offered. Nothing is done where it is not due."""
        with self._database.snapshot() as session:
            standing = renewing.find(session, policy_id)
        policy, offer = standing.policy, standing.offer
        is_offered = offer is not None and offer.timeline_sequence == standing.sequence
        if not is_offered and self._is_due(standing, night.now):
            offered = self._quoted(standing)
            with self._database.transaction() as session:
                renewing.offer(session, standing, offered, night.now)
            log.info("renewal offered", policy_id=ids.encode("pol", policy.id), state=offered.state)

    def list_to_renew(self, session: Session, night: Night, after: UUID, limit: int) -> Sequence[UUID]:
        """Policies with an offer whose term begins so soon that it is billed."""
        return renewals.list_to_renew(session, _billed_until(night), after, limit)

    def count_to_renew(self, session: Session, night: Night) -> int:
        """How many these are."""
        return renewals.find_number_to_renew(session, _billed_until(night))

    def renew(self, policy_id: UUID, night: Night) -> None:
        """Begin the next term of a policy whose offer was accepted, or that is renewed without being asked.

        An offer that is no price, or that waits for somebody, stays as it is. One of before the policy changed is made
        anew, and has to be accepted anew where it had to be.
        """
        with self._database.snapshot() as session:
            standing = renewing.find(session, policy_id)
        policy, offer = standing.policy, standing.offer
        if offer is None or not self._is_due(standing, night.now):
            return
        rules = self._rules_of(policy)
        is_automatic = renewal.preference_of(standing.decision, rules) is Preference.AUTO
        if offer.timeline_sequence != standing.sequence:
            self.offer(policy_id, night)
            return
        quote = self._quotes.find_priced(ids.encode("quo", offer.quote_id))
        if quote is None or quote.state not in (("accepted", "quoted") if is_automatic else ("accepted",)):
            return
        versions = {term.product_version for term in policy.terms} | {quote.product_version}
        all_rules = {version: self._quotes.get_product_rules(policy.product_code, version) for version in versions}
        with self._database.transaction() as session:
            locked = required(policies.lock(session, policy_id), "policy", policy_id)
            if not self._is_due(renewing.find(session, policy_id), night.now):
                return
            contract = changing.load(session, locked, all_rules)
            change = renewing.renew(session, contract, quote, "", night.now, is_taken_here=is_automatic)
            changing.save(session, change, calls.caller().subject, night.now)

    def _is_due(self, standing: Standing, now: datetime) -> bool:
        """Whether there may be a next term of a policy now."""
        try:
            renewal.check_due(standing.policy, self._rules_of(standing.policy), standing.decision, now)
        except (Refused, AlreadyExists):
            return False
        return True

    def _quoted(self, standing: Standing) -> Offer:
        policy, sequence = standing.policy, standing.sequence
        named = f"{policy.id}:{renewal.next_number(policy)}:{sequence}"
        key = hashlib.sha256(named.encode()).hexdigest()
        risk = renewal.risk_of_next(policy)
        return self._quotes.quote_next_term(policy, risk, sequence, (("idempotency-key", key),), standing.quote_id)

    def _rules_of(self, policy: Policy) -> ProductRules:
        return self._quotes.get_product_rules(policy.product_code, renewal.last_term(policy).product_version)

    def _offer_days(self, session: Session, night: Night) -> list[tuple[str, int, int]]:
        """How many days before the end of a term the next one is offered, by product and version.

        All terms of the book are looked through for it, so that it is done once a night.
        """
        occasion, known = self._offer_days_of
        if occasion != night.occasion:
            rules = [self._quotes.get_product_rules(*version) for version in renewals.list_versions(session, night.at)]
            known = [(each.product_code, each.version, each.renewal.offer_days) for each in rules if each.renewal]
            self._offer_days_of = night.occasion, known
        return known


def _billed_until(night: Night) -> date:
    """The last first day of terms that are billed by now."""
    return night.at.date() + timedelta(days=renewal.BILLED_AHEAD_DAYS)


def register(runner: JobRunner, database: Database, quotes: Quotes, payments: Payments) -> None:
    """Tell the runner what to do for each kind of job."""
    handlers = Handlers(database, quotes, payments)
    runner.handle(APPLY_TRANSACTION, handlers.apply_transaction)
    runner.handle(OPEN_BILLING, handlers.open_billing)
    runner.handle(BIND_QUOTE, handlers.bind_quote)
    offers = Renewals(database, quotes)
    runner.nightly(database, Run(OFFER_RENEWALS, offers.list_to_offer, offers.count_to_offer, Alone(offers.offer)))
    runner.nightly(database, Run(RENEW_DUE, offers.list_to_renew, offers.count_to_renew, Alone(offers.renew)))
    runner.every("* * * * *", WRITE_TIMELINES, handlers.write_timelines)
    runner.every("17 * * * *", REAP_KEYS, lambda: idempotency.reap(database))
