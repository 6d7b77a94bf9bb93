"""Contracts for import-linter that its own kinds cannot say: lists of what may be imported, and walls between modules.

A service is made of modules (`services.policies.lifecycle`), and a module of rooms (`rules`, `store`, …).
"""

from __future__ import annotations

from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.domain.helpers import module_expressions_to_modules
from importlinter.domain.imports import ModuleExpression


class OnlyImports(Contract):
    """The modules import directly what is allowed, and nothing else.

    `allowed` names modules with all that is below them, by wildcard or in full. The modules may import each other.
    """

    type_name = "only_imports"

    modules = fields.ListField(subfield=fields.ModuleExpressionField())
    allowed = fields.ListField(subfield=fields.ModuleExpressionField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at what each module imports directly."""
        modules = _matching(graph, self.modules)
        allowed = _matching(graph, self.allowed) | modules
        violations = [
            f"{module} imports {imported}"
            for module in sorted(modules)
            for imported in sorted(graph.find_modules_directly_imported_by(module))
            if not _is_within(imported, allowed)
        ]
        return ContractCheck(kept=not violations, metadata={"violations": violations})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that is not allowed."""
        _print(check)


class Entrances(Contract):
    """Others enter a module by the rooms that are its `entrances`, and by no others, unless they are `exempt`."""

    type_name = "entrances"

    modules = fields.ListField(subfield=fields.ModuleExpressionField())
    entrances = fields.ListField(subfield=fields.StringField())
    exempt = fields.ListField(subfield=fields.ModuleExpressionField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at each import that crosses a module's wall."""
        exempt = _matching(graph, self.exempt)
        entrances = {str(room) for room in cast("list[str]", self.entrances)}
        violations = [
            f"{importer} imports {imported}"
            for module in sorted(_matching(graph, self.modules))
            for room in sorted(graph.find_children(module))
            if room.rpartition(".")[2] not in entrances
            for imported in sorted({room} | graph.find_descendants(room))
            for importer in sorted(graph.find_modules_that_directly_import(imported))
            if not _is_within(importer, {module}) and importer not in exempt
        ]
        return ContractCheck(kept=not violations, metadata={"violations": violations})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that goes through a wall."""
        _print(check)


def _matching(graph: ImportGraph, expressions: object) -> set[str]:
    """The names of the modules that the expressions of a contract stand for."""
    modules = module_expressions_to_modules(graph, cast("list[ModuleExpression]", expressions))
    return {module.name for module in modules}


def _is_within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _print(check: ContractCheck) -> None:
    for line in check.metadata["violations"]:
        output.print_error(f"- {line}")
