"""Publishing products: from the files of this folder into the catalogue. A published version never changes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy.orm import Session

from services.quotes.catalogue.adapters.reading import DefinitionError, Document, read
from services.quotes.catalogue.store import products

FOLDER = Path(__file__).parents[1] / "data"


class VersionChanged(ValueError):
    """A version is published already, with other content."""


def publish(session: Session, paths: Iterable[Path] | None = None) -> None:
    """Add the products of files to the catalogue. One that is there already, unchanged, is left alone.

    `DefinitionError` names the file and every wrong key; `VersionChanged` the file whose change needs a new version.
    """
    for path in sorted(FOLDER.glob("*.yaml")) if paths is None else paths:
        document = load(path)
        try:
            product = read(document)
        except DefinitionError as error:
            raise DefinitionError(f"{path.name}: {error}") from error
        # Of two processes that publish at once, one adds it, and both compare with what is there afterwards.
        products.add(session, product.code, product.version, document)
        if products.find(session, product.code, product.version) != document:
            raise VersionChanged(
                f"{path.name}: version {product.version} of {product.code} is published with other content;"
                " published versions never change, so give the change a new version"
            )


def load(path: Path) -> Document:
    """The document of a file. `DefinitionError` names the file when it cannot be read."""
    try:
        document = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a safe loader, with fewer types
    except yaml.YAMLError as error:
        raise DefinitionError(f"{path.name}: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise DefinitionError(f"{path.name}: is not a mapping of keys to values")
    return document


class _Loader(yaml.SafeLoader):
    """YAML without surprises: keys are text, a key stands once, and numbers with decimal places stay text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(0|[1-9][0-9]*)$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"null$|$"), ["n", ""])


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is not text", key.start_mark)
        if key.value in mapping:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
        mapping[key.value] = loader.construct_object(value, deep=True)
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
