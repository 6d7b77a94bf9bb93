"""Transactions: the issued changes that a policy is made of, in an immutable stack.

Each says what it changes, never what comes out: that is folded from the whole stack (`timeline`). So a change that is
issued late for an early day is a transaction like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.money import Money
from libs.premium import ChargeLine, Coverage, InsuredObject
from services.policies.lifecycle.rules.returns import Return
from services.policies.lifecycle.rules.term import EndKind, Item, Risk


class TransactionType(StrEnum):
    """What a transaction does."""

    NEW_BUSINESS = "new_business"
    ACTIVATION = "activation"
    NOT_TAKEN = "not_taken"
    ENDORSEMENT = "endorsement"
    RENEWAL = "renewal"
    CANCELLATION = "cancellation"
    LAPSE = "lapse"
    REINSTATEMENT = "reinstatement"
    REVERSAL = "reversal"
    SERVICING = "servicing"


@dataclass(frozen=True, slots=True)
class Opening:
    """A term begins, with what is insured from its first day on."""

    term_number: int
    starts_on: date
    ends_on: date
    product_version: int
    risk: Risk
    covered_from: date | None = None
    """The first day that is covered and owed, of a term that was renewed late; None where it is the first of all."""
    cover_starts_at: datetime | None = None
    """When cover begins without a payment; None where it waits for one."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What is different from the effective day on: answers, objects and coverages that are set, or taken away.

    It names what it changes and nothing else, so that it can be laid over a risk that another change made.
    """

    answers: Mapping[str, object] = field(default_factory=dict)
    objects: tuple[InsuredObject, ...] = ()
    removed_objects: frozenset[str] = frozenset()
    coverages: tuple[Coverage, ...] = ()
    removed_coverages: frozenset[str] = frozenset()
    fields: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By the names of objects, the fields of them that are different."""
    identifiers: Mapping[str, str] = field(default_factory=dict)
    """By the names of these objects, what each is told from others by then."""
    overrides: bool = False
    """Whether it holds until the end: what was issued before it for later days says nothing of the same things."""

    def applied_to(self, risk: Risk) -> Risk:
        """The risk with this change."""
        objects = {item.id: item for item in (*risk.objects, *self.objects)}
        objects |= {name: self._changed(objects[name]) for name in self.fields if name in objects}
        coverages = {item.code: item for item in (*risk.coverages, *self.coverages)}
        return Risk(
            {**risk.answers, **self.answers},
            tuple(item for key, item in objects.items() if key not in self.removed_objects),
            tuple(item for key, item in coverages.items() if key not in self.removed_coverages),
        )

    def without(self, other: Delta) -> Delta:
        """This change without what another one says of the same things."""
        fields = {
            name: {code: value for code, value in values.items() if code not in other.fields.get(name, {})}
            for name, values in self.fields.items()
        }
        coverages = {item.code for item in other.coverages} | other.removed_coverages
        return replace(
            self,
            answers={code: value for code, value in self.answers.items() if code not in other.answers},
            coverages=tuple(item for item in self.coverages if item.code not in coverages),
            removed_coverages=self.removed_coverages - coverages,
            fields=fields,
            identifiers={
                name: identifier
                for name, identifier in self.identifiers.items()
                if fields.get(name) == self.fields.get(name)
            },
        )

    def known_to(self, risk: Risk) -> Delta:
        """This change as it is carried into a later term: what the version of that one does not ask is left out."""
        known = {item.id: item.fields for item in risk.objects}
        return replace(
            self,
            answers={code: value for code, value in self.answers.items() if code in risk.answers},
            fields={
                name: {code: value for code, value in values.items() if code in known[name]}
                for name, values in self.fields.items()
                if name in known
            },
        )

    def _changed(self, insured: InsuredObject) -> InsuredObject:
        fields = {**insured.fields, **self.fields[insured.id]}
        return replace(insured, fields=fields, identifier=self.identifiers.get(insured.id, insured.identifier))


@dataclass(frozen=True, slots=True)
class Ending:
    """Cover ends on the effective day, and this is how premium comes back."""

    kind: EndKind
    how: Return


@dataclass(frozen=True, slots=True)
class Reopening:
    """Cover goes on from the effective day, where it had ended before."""

    statement: str = ""
    """What the policyholder stated of losses in between."""


@dataclass(frozen=True, slots=True)
class CoverStart:
    """Cover of a term begins at a moment: its payment, or the start of its first day."""

    term_number: int
    starts_at: datetime


Change = Opening | Delta | Ending | Reopening | CoverStart


@dataclass(frozen=True, slots=True)
class Price:
    """What the whole of a term would cost on a risk, as it was rated when a transaction was issued."""

    term_number: int
    risk: Risk
    full_term: Mapping[Item, Money]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One issued change of a contract."""

    id: UUID
    sequence: int
    type: TransactionType
    effective_on: date
    issued_at: datetime
    change: Change | None = None
    """None for a reversal, and for one that changes parties and not what is insured."""
    reverses: UUID | None = None
    """The transaction that counts no longer."""
    lines: tuple[ChargeLine, ...] = ()
    """What it adds to the price of the contract, signed: after less before, line by line."""
    term_number: int = 1
    billing_sequence: int | None = None
    """Its position among those that payments is told of, counted from 1; None where no money changes."""
    quote_id: UUID | None = None
    """The quote that was taken by it."""
    source_id: str = ""
    """What caused it: the quote, the payment, or the invoice."""
    reason: str = ""
    actor: str = ""
    """Who issued it, as the audit log names them."""
    note: str = ""
    """What is to be remembered of it, in the words of who issued it."""
    prices: tuple[Price, ...] = ()
    """Of a change that was rated: the price of every risk that its terms came to, on all of their days, also on those
    that are not covered: what brings them back later needs no rating."""
