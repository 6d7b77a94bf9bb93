"""Product files: YAML without surprises, and the line on which each key stands.

A file may come from anybody who may make products. Whatever it holds, reading it ends with a document, or with faults
that name lines: nothing is built but mappings, lists, texts, whole numbers and truth values that a database can keep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from services.quotes.catalogue.adapters.reading import Document, read
from services.quotes.catalogue.rules.definition import DefinitionError, Fault
from services.quotes.catalogue.rules.product import Product

_DEEPEST = 20
_LARGEST = 2**53  # every program and every JSON holds whole numbers up to it exactly
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Source:
    """What a product file holds, and the line of each key: `rating[3].table` stands on line 41."""

    text: str
    document: Document
    lines: dict[str, int]

    def line_of(self, key: str) -> int:
        """The line of a key, or of the nearest one around it that stands in the file; the first line if none does."""
        while key not in self.lines and key:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.lines.get(key, 1)


def parse(text: str) -> Source:
    """What a file holds. `DefinitionError` with the line on which it is no YAML, or not the YAML that is taken here."""
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            document = loader.construct_document(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        # The end of a file that stops too early is one line further for libyaml than for an editor.
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        raise DefinitionError([Fault("", problem, line)]) from error
    except yaml.reader.ReaderError as error:
        line = text.encode(errors="surrogatepass").count(b"\n", 0, error.position) + 1
        raise DefinitionError([Fault("", "has a character that is not printable", line)]) from error
    if root is None or not isinstance(document, dict):
        raise DefinitionError([Fault("", "is not a mapping of keys to values", 1)])
    return Source(text, document, dict(_lines(root, "")))


def read_source(source: Source) -> Product:
    """The product of a file. `DefinitionError` names every wrong key, with its line."""
    try:
        return read(source.document)
    except DefinitionError as error:
        faults = [fault._replace(line=source.line_of(fault.key)) for fault in error.faults]
        raise DefinitionError(faults) from error


def dump(document: Document) -> str:
    """A file that holds the document."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _lines(node: yaml.Node, key: str) -> list[tuple[str, int]]:
    """Each key under a node with its line, counted from 1."""
    lines = []
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            inner = f"{key}.{name.value}" if key else name.value
            lines.append((inner, name.start_mark.line + 1))
            lines += _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = f"{key}[{index}]"
            lines.append((inner, value.start_mark.line + 1))
            lines += _lines(value, inner)
    return lines


class _Dumper(yaml.SafeDumper):
    """Writes what stands twice twice, as nothing may stand for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


class _Loader(yaml.composer.Composer, yaml.CSafeLoader):
    """Keys are text and stand once, nothing stands for something else, and numbers with decimal places stay text.

    libyaml reads the text, ten times as fast as the parser in Python; nodes are composed here, where they are checked.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    yaml_constructors: ClassVar[dict[str | None, Any]] = {None: yaml.SafeLoader.construct_undefined}

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        yaml.composer.Composer.__init__(self)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node, unless it stands for another one or stands too deep."""
        event: Any = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(None, None, "takes no anchors and aliases", event.start_mark)
        if self._depth > _DEEPEST:
            raise yaml.composer.ComposerError(None, None, "is nested too deep", event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]{0,18})$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"null$|$"), ["n", ""])


def _fail(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _fail(node, "is not a mapping")
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fail(key, "a key is not text")
        name = _text(loader, key)
        if name in mapping:
            raise _fail(key, f"the key {name!r} is there twice")
        mapping[name] = loader.construct_object(value, deep=True)
    return mapping


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    if not isinstance(node, yaml.SequenceNode):
        raise _fail(node, "is not a list")
    return [loader.construct_object(value, deep=True) for value in node.value]


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    text: str = loader.construct_scalar(node)
    if _UNPRINTABLE.search(text):
        raise _fail(node, "has a character that is not printable")
    return text


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = _text(loader, node)
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or abs(number := int(text)) > _LARGEST:
        raise _fail(node, f"{text[:40]!r} is not a whole number, or too large")
    return number


def _truth(loader: _Loader, node: yaml.ScalarNode) -> bool:
    text = _text(loader, node)
    if text not in ("true", "false"):
        raise _fail(node, f"{text[:40]!r} is neither true nor false")
    return text == "true"


def _nothing(loader: _Loader, node: yaml.ScalarNode) -> None:
    _text(loader, node)


for _kind, _construct in (
    ("map", _mapping), ("seq", _sequence), ("str", _text), ("int", _whole), ("bool", _truth), ("null", _nothing),
):  # fmt: skip
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _construct)
