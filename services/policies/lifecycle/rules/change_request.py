"""A request to change a policy: what is to be different from a day on, and nothing else.

It becomes a delta of the stack, so that what other changes say of other things stays as it is, before and after it.
Where a later day already has another value for the same thing, that one keeps its days unless the request says that it
is to give way; both are told as conflicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum

from libs.errors import FieldInvalid, Refused
from libs.premium import Coverage, InsuredObject
from services.policies.lifecycle.rules.term import Risk, Term
from services.policies.lifecycle.rules.transaction import Delta, Transaction


class ChangeConflicts(Refused):
    """Later transactions changed the same, and the request says that it is not to be made then."""

    reason = "CHANGE_CONFLICTS"


class OnConflict(StrEnum):
    """What becomes of a change of something that a transaction of a later day changed as well."""

    KEEP_LATER = "keep_later"  # the later one keeps its days
    OVERRIDE = "override"  # the change holds until the end of the term, and in later terms
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be different from a day on."""

    effective_on: date
    answers: Mapping[str, object] = field(default_factory=dict)
    added_objects: tuple[InsuredObject, ...] = ()
    """Without a name, each gets the next free one."""
    changed_objects: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """By the names of objects, the fields that are different."""
    removed_objects: tuple[str, ...] = ()
    added_coverages: tuple[Coverage, ...] = ()
    changed_coverages: tuple[Coverage, ...] = ()
    """What is not chosen anew stays as it is."""
    removed_coverages: tuple[str, ...] = ()
    on_conflict: OnConflict = OnConflict.KEEP_LATER


@dataclass(frozen=True, slots=True)
class Conflict:
    """A transaction of a later day that says something else of the same thing."""

    transaction: Transaction
    path: str
    """What both of them change: `answers.annual_km`, `objects.vehicle_1.value`, `coverages.theft`."""


def named(request: Request, terms: Sequence[Term]) -> Request:
    """The request with a name for each object that it adds. A name is never given twice in a policy."""
    taken = {insured.id for term in terms for part in term.segments for insured in part.risk.objects}
    taken |= {insured.id for insured in request.added_objects if insured.id}
    objects = []
    for insured in request.added_objects:
        name, number = insured.id, 1
        while not name or (name in taken and not insured.id):
            name = f"{insured.code}_{number}"
            number += 1
        taken.add(name)
        objects.append(replace(insured, id=name))
    return replace(request, added_objects=tuple(objects))


def delta_of(request: Request, risk: Risk) -> Delta:
    """What a request changes of the risk that is insured on its day.

    `FieldInvalid` for an object or coverage that is changed or taken away and is not there, or added and is; and for a
    value that answers no question.
    """
    _check_values(request)
    objects = {insured.id: insured for insured in risk.objects}
    coverages = {coverage.code: coverage for coverage in risk.coverages}
    _check_objects(request, objects)
    _check_coverages(request, coverages)
    chosen = [_with_choices(coverages[changed.code], changed) for changed in request.changed_coverages]
    return Delta(
        answers={code: value for code, value in request.answers.items() if risk.answers.get(code) != value},
        objects=request.added_objects,
        fields={
            name: different
            for name, values in request.changed_objects.items()
            if (different := _different(objects[name].fields, values))
        },
        removed_objects=frozenset(request.removed_objects),
        coverages=(
            *request.added_coverages,
            *(coverage for coverage in chosen if coverage != coverages[coverage.code]),
        ),
        removed_coverages=frozenset(request.removed_coverages),
        overrides=request.on_conflict is OnConflict.OVERRIDE,
    )


def conflicts(delta: Delta, effective_on: date, standing: Sequence[Transaction]) -> list[Conflict]:
    """What transactions of later days, issued before, say of the same things; in the order of their days.

    `standing` are the transactions that no other one takes back.
    """
    later = sorted(
        (each for each in standing if isinstance(each.change, Delta) and each.effective_on > effective_on),
        key=lambda each: (each.effective_on, each.sequence),
    )
    mine = set(_paths(delta))
    return [
        Conflict(transaction, path)
        for transaction in later
        if isinstance(transaction.change, Delta)
        for path in dict.fromkeys(_paths(transaction.change))
        if path in mine or _is_of_removed(path, delta)
    ]


def check_conflicts(request: Request, found: Sequence[Conflict]) -> None:
    """`ChangeConflicts` where there are any, and the request says that it is not to be made then."""
    if request.on_conflict is OnConflict.REFUSE and found:
        raise ChangeConflicts(sequence=str(found[0].transaction.sequence), path=found[0].path)


def _check_values(request: Request) -> None:
    """Whether a value fits its question is for quotes to say. What is not even one value is not handed on to it."""
    given = {
        "answers": request.answers,
        **{f"objects.add[{index}].fields": insured.fields for index, insured in enumerate(request.added_objects)},
        **{f"objects.change[{i}].fields": fields for i, fields in enumerate(request.changed_objects.values())},
    }
    wrong = {
        f"{place}.{name}": "is neither text nor a number nor a truth value"
        for place, values in given.items()
        for name, value in values.items()
        if not isinstance(value, str | int | float)
    }
    if wrong:
        raise FieldInvalid(violations=wrong)


def _check_objects(request: Request, objects: Mapping[str, InsuredObject]) -> None:
    wrong = {}
    for index, insured in enumerate(request.added_objects):
        if insured.id in objects or [other.id for other in request.added_objects].count(insured.id) > 1:
            wrong[f"objects.add[{index}].object_id"] = "names an object that is there"
    for index, name in enumerate(request.changed_objects):
        if name not in objects:
            wrong[f"objects.change[{index}].object_id"] = "is insured no object on that day"
        elif name in request.removed_objects:
            wrong[f"objects.change[{index}].object_id"] = "is removed by the same change"
        elif unknown := sorted(set(request.changed_objects[name]) - set(objects[name].fields)):
            wrong[f"objects.change[{index}].fields"] = f"has {unknown[0]}, which is not asked of the object"
    for index, name in enumerate(request.removed_objects):
        if name not in objects:
            wrong[f"objects.remove[{index}]"] = "names no object that is insured on that day"
    if wrong:
        raise FieldInvalid(violations=wrong)


def _check_coverages(request: Request, coverages: Mapping[str, Coverage]) -> None:
    wrong = {}
    named_codes = [item.code for item in (*request.added_coverages, *request.changed_coverages)]
    named_codes += request.removed_coverages
    for index, added in enumerate(request.added_coverages):
        if added.code in coverages:
            wrong[f"coverages.add[{index}].coverage_code"] = "is covered on that day"
    for index, changed in enumerate(request.changed_coverages):
        if changed.code not in coverages:
            wrong[f"coverages.change[{index}].coverage_code"] = "is not covered on that day"
    for index, code in enumerate(request.removed_coverages):
        if code not in coverages:
            wrong[f"coverages.remove[{index}]"] = "is not covered on that day"
    if not wrong and len(set(named_codes)) < len(named_codes):
        wrong["coverages"] = "name one coverage twice"
    if wrong:
        raise FieldInvalid(violations=wrong)


def _with_choices(current: Coverage, changed: Coverage) -> Coverage:
    return Coverage(current.code, changed.limit or current.limit, changed.deductible or current.deductible)


def _different(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    return {code: value for code, value in after.items() if before.get(code) != value}


def _paths(delta: Delta) -> Iterator[str]:
    """What a change is about: each answer, each field of an object, each object and each coverage by itself."""
    yield from (f"answers.{code}" for code in delta.answers)
    yield from (f"objects.{name}.{code}" for name, fields in delta.fields.items() for code in fields)
    yield from (f"objects.{insured.id}" for insured in delta.objects)
    yield from (f"objects.{name}" for name in sorted(delta.removed_objects))
    yield from (f"coverages.{coverage.code}" for coverage in delta.coverages)
    yield from (f"coverages.{code}" for code in sorted(delta.removed_coverages))


def _is_of_removed(path: str, delta: Delta) -> bool:
    return any(path.startswith(f"objects.{name}.") for name in delta.removed_objects)
