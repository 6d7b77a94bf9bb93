"""What is insured, by what it is told by: a plate, an address. It makes a risk that is insured twice visible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from libs.errors import FieldInvalid, Refused
from services.policies.lifecycle.rules.state import State
from services.policies.lifecycle.rules.term import Term

STANDING = frozenset({State.PENDING, State.SCHEDULED, State.IN_FORCE, State.GAP})
"""The states in which a policy keeps what it insures from being insured once more."""


class DuplicateRisk(Refused):
    """Another policy of the product insures the same object on some of the same days."""

    reason = "DUPLICATE_RISK"


@dataclass(frozen=True, slots=True)
class Insured:
    """An object of a policy, and the days on which it is insured."""

    object_id: str
    object_code: str
    identifier: str
    """As `identifier_key` makes it."""
    starts_on: date
    ends_on: date


def identifier_key(identifier: str) -> str:
    """What identifiers are compared by: `aa-00-BB` and `AA 00 BB` are one plate."""
    return "".join(character for character in identifier.casefold() if character.isalnum())


def key_to_find(identifier: str) -> str:
    """The key of an object to look for; empty for any. `FieldInvalid` where an identifier could be no object's."""
    key = identifier_key(identifier)
    if identifier and not key:
        raise FieldInvalid(violations={"object_identifier": "has no letter and no digit"})
    return key


def insured_by(terms: Iterable[Term]) -> list[Insured]:
    """The objects of a timeline that have an identifier, each with the days of one stretch."""
    stretches: dict[tuple[str, str, str], list[tuple[date, date]]] = {}
    for segment in (segment for term in terms for segment in term.segments):
        for item in segment.risk.objects:
            if key := identifier_key(item.identifier):
                days = stretches.setdefault((item.id, item.code, key), [])
                if days and days[-1][1] == segment.starts_on:
                    days[-1] = (days[-1][0], segment.ends_on)
                else:
                    days.append((segment.starts_on, segment.ends_on))
    return [Insured(*what, *days) for what, all_days in stretches.items() for days in all_days]
