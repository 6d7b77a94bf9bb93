"""Insured objects, checked one by one before anything is priced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from libs.errors import Invalid
from libs.premium import InsuredObject
from services.quotes.catalogue.rules.product import MOST_OBJECTS, Answer, ObjectType, Product
from services.quotes.rating.rules.answers import Accept, WrongAnswer, compile_accepts

CheckObjects = Callable[[Sequence[InsuredObject]], tuple[InsuredObject, ...]]


class ObjectInvalid(Invalid):
    """An insured object is missing, of an unknown kind, or one of its fields is wrong."""

    reason = "OBJECT_INVALID"


class _Kind(NamedTuple):
    type: ObjectType
    accepts: Mapping[str, Accept]


def compile_objects(product: Product) -> CheckObjects:
    """A function from the objects that are given to those of the contract, with their names and identifiers.

    `ObjectInvalid` names the first wrong one and its field; `object_code` when there are too few or too many of a kind.
    """
    if not product.objects:
        return _none
    kinds = _kinds(product)

    def check(given: Sequence[InsuredObject]) -> tuple[InsuredObject, ...]:
        _check_number(given)
        named = _named(given)
        counts = dict.fromkeys(kinds, 0)
        identifiers = set()
        checked = []
        for name, insured in named:
            code = insured.code
            kind = _kind_of(kinds, name, code)
            fields = _fields(name, insured.fields, kind.accepts)
            identifier = ""
            if field := kind.type.identifier:
                identifier = str(fields[field])
                if (code, identifier) in identifiers:
                    _refuse(name, field, f"has the {field} of another one")
                identifiers.add((code, identifier))
            counts[code] += 1
            checked.append(InsuredObject(name, code, fields, identifier))
        for code, count in counts.items():
            kind_of = kinds[code].type
            if not kind_of.minimum <= count <= kind_of.maximum:
                _refuse(code, "object_code", f"must be there {_times(kind_of)}, not {count} times")
        return tuple(checked)

    return check


def check_given(product: Product, given: Sequence[InsuredObject]) -> tuple[InsuredObject, ...]:
    """The objects of a draft, with those of their fields that have a value: more of both may come later.

    `ObjectInvalid` names the first wrong one and its field.
    """
    kinds = _kinds(product)
    _check_number(given)
    checked = []
    for name, insured in _named(given):
        accepts = _kind_of(kinds, name, insured.code).accepts
        known = {code: value for code, value in insured.fields.items() if value is not None}
        asked = {code: accept for code, accept in accepts.items() if code in known}
        fields = _fields(name, known, asked)
        checked.append(InsuredObject(insured.id, insured.code, fields))
    return tuple(checked)


def missing(product: Product, given: Sequence[InsuredObject]) -> tuple[str, ...]:
    """What the product asks of insured objects and is not given: kinds of which there are too few, and fields."""
    counts = Counter(insured.code for insured in given)
    fields = {kind.code: [field.code for field in kind.fields] for kind in product.objects}
    kinds = [kind.code for kind in product.objects if counts[kind.code] < kind.minimum]
    return (
        *kinds,
        *(
            f"{insured.id or insured.code}.{code}"
            for insured in given
            for code in fields.get(insured.code, ())
            if insured.fields.get(code) is None
        ),
    )


def _kinds(product: Product) -> dict[str, _Kind]:
    return {kind.code: _Kind(kind, compile_accepts(kind.fields, product.currency)) for kind in product.objects}


def _check_number(given: Sequence[InsuredObject]) -> None:
    if len(given) > MOST_OBJECTS:
        _refuse(given[0].code, "object_code", f"are more than the {MOST_OBJECTS} that a policy insures")


def _kind_of(kinds: Mapping[str, _Kind], name: str, code: str) -> _Kind:
    kind = kinds.get(code)
    if kind is None:
        _refuse(name, "object_code", f"is a {code!r}, which the product does not insure")
    return kind


def _none(given: Sequence[InsuredObject]) -> tuple[InsuredObject, ...]:
    """The check of a product that insures no objects."""
    for insured in given:
        _refuse(insured.id or insured.code, "object_code", "is not insured by the product")
    return ()


def _named(given: Sequence[InsuredObject]) -> list[tuple[str, InsuredObject]]:
    """The objects with a name each: the next free one of its kind, for one that has none."""
    taken: set[str] = set()
    for insured in given:
        if insured.id in taken:
            _refuse(insured.id, "object_id", "is there twice")
        if insured.id:
            taken.add(insured.id)
    named = []
    for insured in given:
        name = insured.id
        if not name:
            number = 1
            while (name := f"{insured.code}_{number}") in taken:
                number += 1
            taken.add(name)
        named.append((name, insured))
    return named


def _fields(name: str, given: Mapping[str, object], accepts: Mapping[str, Accept]) -> dict[str, Answer]:
    for code in given:
        if code not in accepts:
            _refuse(name, code, "is not asked of it")
    fields = {}
    for code, accept in accepts.items():
        value = given.get(code)
        if value is None:
            _refuse(name, code, "is missing")
        try:
            fields[code] = accept(value)
        except WrongAnswer as error:
            _refuse(name, code, str(error))
    return fields


def _times(kind: ObjectType) -> str:
    return f"{kind.minimum} times" if kind.minimum == kind.maximum else f"{kind.minimum} to {kind.maximum} times"


def _refuse(name: str, field: str, why: str) -> NoReturn:
    subject = name if field in ("object_code", "object_id") else f"{field} of {name}"
    raise ObjectInvalid(f"{subject} {why}", object=name, field=field)
