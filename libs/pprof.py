"""pprof's own format: `perftools.profiles.Profile`, as `go tool pprof` and others read it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from pathlib import Path

from bazaruto.operations.v1.profile_pb2 import Profile
from libs import clock

Frame = tuple[str, str, int]  # function, file, line
Stack = tuple[Frame, ...]  # the innermost first


def encode(
    types: Sequence[tuple[str, str]],
    samples: Sequence[tuple[Stack, Sequence[int]]],
    duration_nanos: int,
    period: int,
) -> bytes:
    """A profile message. `types` are kind and unit of each value of a sample; `period` is in those of the last."""
    profile = Profile(time_nanos=clock.real_nanoseconds(), duration_nanos=duration_nanos, period=period)
    strings: dict[str, int] = {"": 0}
    functions: dict[tuple[str, str], int] = {}
    locations: dict[Frame, int] = {}

    def index(text: str) -> int:
        return strings.setdefault(text, len(strings))

    for kind, unit in types:
        profile.sample_type.add(type=index(kind), unit=index(unit))
    profile.period_type.CopyFrom(profile.sample_type[-1])
    for stack, values in samples:
        location_ids = [locations.setdefault(frame, len(locations) + 1) for frame in stack]
        profile.sample.add(location_id=location_ids, value=values)
    for (name, file, line), location_id in locations.items():
        function_id = functions.setdefault((name, file), len(functions) + 1)
        profile.location.add(id=location_id).line.add(function_id=function_id, line=line)
    for (name, file), function_id in functions.items():
        shown = index(name or file)
        profile.function.add(id=function_id, name=shown, system_name=shown, filename=index(file))
    # The path of a file may be no text.
    profile.string_table.extend(text.encode("utf-8", "replace").decode() for text in strings)
    return profile.SerializeToString()


def text(stacks: Iterable[tuple[Stack, int]]) -> str:
    """Stacks for people: how many are alike, and the frames of each."""
    lines = []
    for stack, count in stacks:
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
    functions: list[tuple[int, int, str]] = []

    def collect(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    functions.append((child.lineno, child.end_lineno or child.lineno, name))
                collect(child, f"{name}.")
            else:
                collect(child, prefix)

    collect(tree, "")
    return functions
