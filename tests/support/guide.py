"""The Markdown of `docs/`: its fenced blocks with their marks, its links, and the commands and paths that it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = DOCS / "operations.md"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- (?P<name>not run|exit): (?P<value>[^>]*?) -->\n+\Z")
_LINK = re.compile(r"\]\((?!https?:|#)(?P<path>[^)#\s]+)")
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
# A path of the project, as prose and commands write it; what a person fills in (<...>) ends it.
_PATH = re.compile(
    r"(?<![\w/.@-])(?:\./)?(?P<path>(?:bazarutod|deploy|docs|libs|services|gateway|tests|protos)/[\w./@*{},-]*[\w*}])"
)
_COMMAND = re.compile(r"(?<![\w./-])(?:\.venv/bin/|/opt/bazaruto/bin/)?bazarutod (?P<words>[a-z][^`\n|#&;)]*)")


@dataclass(frozen=True)
class Block:
    """A fenced block. `reason` says why it is not run, `exit_code` what it ends with when it is."""

    document: Path
    line: int
    language: str
    text: str
    reason: str
    exit_code: int

    def __str__(self) -> str:
        return f"{self.document.name}:{self.line}"


def documents() -> list[Path]:
    """Every document."""
    return sorted(DOCS.rglob("*.md"))


def blocks(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    text = document.read_text()
    for fence in _FENCE.finditer(text):
        mark = _MARK.search(text[: fence.start()])
        value = {mark["name"]: mark["value"].strip()} if mark else {}
        yield Block(
            document,
            text[: fence.start()].count("\n") + 1,
            fence["language"],
            re.sub(f"^{fence['indent']}", "", fence["text"], flags=re.MULTILINE),
            value.get("not run", ""),
            int(value.get("exit", "0")),
        )


def blocks_of(language: str) -> list[Block]:
    """The blocks of the operations guide that are written in one language."""
    return [block for block in blocks(GUIDE) if block.language == language]


def links(document: Path) -> set[str]:
    """Files that a document links to, relative to itself."""
    return {link["path"] for link in _LINK.finditer(_prose(document))}


def paths(document: Path) -> set[str]:
    """Files of the project that a document names."""
    text = document.read_text()
    return {path["path"] for path in _PATH.finditer(text) if not text[path.end() :].startswith("<")}


def commands(document: Path) -> set[str]:
    """What a document has people type after `bazarutod`: in blocks, and in code within its text."""
    typed = [block.text.replace("\\\n", " ") for block in blocks(document) if block.language in ("bash", "")]
    typed += [match["code"] for match in _CODE.finditer(_prose(document))]
    return {match["words"].strip() for text in typed for match in _COMMAND.finditer(text)}


def _prose(document: Path) -> str:
    """A document without its blocks."""
    return _FENCE.sub("", document.read_text())
