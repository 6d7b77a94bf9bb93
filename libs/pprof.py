"""pprof's own format: `perftools.profiles.Profile`, as `go tool pprof` and others read it."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

Frame = tuple[str, str, int]  # function, file, line
Stack = tuple[Frame, ...]  # the innermost first


def encode(
    types: Sequence[tuple[str, str]],
    samples: Sequence[tuple[Stack, Sequence[int]]],
    duration_nanos: int,
    period: int,
) -> bytes:
    """A profile message. Its numbers of fields stand in pprof's profile.proto."""
    strings: dict[str, int] = {"": 0}
    functions: dict[tuple[str, str], int] = {}
    locations: dict[Frame, int] = {}

    def index(value: str) -> int:
        return strings.setdefault(value, len(strings))

    def value_type(pair: tuple[str, str]) -> bytes:
        return _number(1, index(pair[0])) + _number(2, index(pair[1]))

    out = bytearray()
    for pair in types:
        out += _bytes(1, value_type(pair))
    for stack, values in samples:
        ids = b""
        for frame in stack:
            functions.setdefault(frame[:2], len(functions) + 1)
            ids += _varint(locations.setdefault(frame, len(locations) + 1))
        out += _bytes(2, _bytes(1, ids) + _bytes(2, b"".join(map(_varint, values))))
    for frame, number in locations.items():
        line = _number(1, functions[frame[:2]]) + _number(2, frame[2])
        out += _bytes(4, _number(1, number) + _bytes(4, line))
    for (name, file), number in functions.items():
        told = index(name or file)
        out += _bytes(5, _number(1, number) + _number(2, told) + _number(3, told) + _number(4, index(file)))
    period_type = value_type(types[-1])
    for value in strings:
        out += _bytes(6, value.encode("utf-8", "replace"))
    out += _number(9, time.time_ns()) + _number(10, duration_nanos)
    return bytes(out + _bytes(11, period_type) + _number(12, period))


def text(found: Iterable[tuple[Stack, int]]) -> str:
    """Stacks for people: how many are alike, and the frames of each."""
    lines = []
    for stack, count in found:
        lines += [f"{count} @", *(f"#\t{name}\t{file}:{line}" for name, file, line in stack), ""]
    return "\n".join(lines)


class Functions:
    """Finds the function that a line of a file stands in: a trace of memory knows files and lines only."""

    def __init__(self) -> None:
        self._files: dict[str, list[tuple[int, int, str]]] = {}

    def name(self, file: str, line: int) -> str:
        """The innermost function around a line; empty outside of any, and for a file that cannot be read."""
        spans = self._files.get(file)
        if spans is None:
            spans = self._files[file] = _functions_of(file)
        inside = [span for span in spans if span[0] <= line <= span[1]]
        return min(inside, key=lambda span: span[1] - span[0])[2] if inside else ""


def _functions_of(file: str) -> list[tuple[int, int, str]]:
    """First line, last line and name of every function of a file."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found: list[tuple[int, int, str]] = []

    def collect(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    found.append((child.lineno, child.end_lineno or child.lineno, name))
                collect(child, f"{name}.")
            else:
                collect(child, prefix)

    collect(tree, "")
    return found


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
