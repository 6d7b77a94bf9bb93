"""A contract for import-linter: the nouns of a service know nothing but the standard library and each other."""

from __future__ import annotations

import sys

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

_ROOMS = {"main", "servicer", "store", "clients", "jobs", "migrations"}
_ALLOWED = {"libs.errors", "libs.money"}


class PureNouns(Contract):
    """Every module of a service that is no room and no verb does no I/O: it may import very little."""

    type_name = "pure_nouns"

    services = fields.ListField(subfield=fields.StringField())
    verbs = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at what each noun imports directly."""
        verbs = set(map(str, self.verbs))  # type: ignore[call-overload]
        found = [
            f"{noun} imports {imported}"
            for service in self.services  # type: ignore[attr-defined]
            for noun in sorted(graph.find_children(str(service)))
            if noun.rpartition(".")[2] not in _ROOMS and noun not in verbs
            for imported in sorted(graph.find_modules_directly_imported_by(noun))
            if not self._allowed(imported, str(service), verbs)
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that is not allowed."""
        for line in check.metadata["found"]:
            output.print_error(f"- {line}")

    @staticmethod
    def _allowed(imported: str, service: str, verbs: set[str]) -> bool:
        if imported in _ALLOWED or imported.partition(".")[0] in sys.stdlib_module_names:
            return True
        sibling = imported.removeprefix(f"{service}.")
        return sibling != imported and sibling.partition(".")[0] not in _ROOMS and imported not in verbs
