"""The table of who may call what says the same as the contracts, method by method."""

from __future__ import annotations

from tests.support.access import TABLE, all_methods, row_of, table


def test_every_method_has_the_row_that_its_contract_says() -> None:
    """A new method needs a row, and so does a change of who may call one: look at it twice, then write it down."""
    declared, written = [row_of(method) for method in all_methods()], table()
    missing = [line for line in declared if line not in written]
    too_many = [line for line in written if line not in declared]
    lines = [f"+ {line}" for line in missing] + [f"- {line}" for line in too_many]
    assert not lines, f"{TABLE.name} needs these changes, if they are meant:\n" + "\n".join(lines)


def test_rows_are_in_the_order_of_their_names() -> None:
    assert table() == sorted(table())
