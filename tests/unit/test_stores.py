"""Stores take a session, and lists of what has an owner take a scope: none shows everybody's rows by mistake."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from typing import Any

import services
from libs.identity.scopes import Scope


def functions_of_stores() -> Iterator[Callable[..., Any]]:
    """The public functions of every store."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if ".store" in module.name and ".migrations" not in module.name:
            store = importlib.import_module(module.name)
            for name, function in inspect.getmembers(store, inspect.isfunction):
                if function.__module__ == module.name and not name.startswith("_"):
                    yield function


def takes_scope(function: Callable[..., Any]) -> bool:
    """Whether the second parameter is a scope, which is never None."""
    second = list(inspect.signature(function).parameters)[1]
    return bool(typing.get_type_hints(function)[second] == Scope)


def lists_what_has_an_owner(function: Callable[..., Any]) -> bool:
    """Whether it gives many things, each of somebody."""
    returned = typing.get_type_hints(function)["return"]
    return any(
        "user_id" in (field.name for field in dataclasses.fields(item))
        for item in typing.get_args(returned)
        if dataclasses.is_dataclass(item)
    )


LISTS = [function for function in functions_of_stores() if function.__name__.startswith("list")]


def test_lists_of_a_scope_are_there_for_what_people_own() -> None:
    owners = {function.__module__.rpartition(".")[2] for function in LISTS if function.__name__ == "list_of"}
    assert owners >= {"users", "quotes", "policies", "invoices", "payments"}


def test_list_of_what_has_an_owner_takes_a_scope() -> None:
    wrong = [
        f"{function.__module__}.{function.__name__}"
        for function in LISTS
        if (function.__name__ == "list_of" or lists_what_has_an_owner(function)) and not takes_scope(function)
    ]
    assert wrong == []


def test_list_of_no_scope_gives_nothing_that_somebody_owns() -> None:
    """The check above can fail: it knows a list of what has an owner when it sees one."""
    assert {function.__name__ for function in LISTS if lists_what_has_an_owner(function)} == {"list_of"}
