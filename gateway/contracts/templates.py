"""Path templates of `google.api.http` rules: parsing them, and decoding the parts of a request's path.

A request path is split into segments before anything is decoded, so that `%2F` never crosses a segment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

ONE = "*"  # exactly one segment
REST = "**"  # all segments that are left, also none

_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()+,;=@-]+")
_FIELD_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SLASH = re.compile(r"%2f", re.IGNORECASE)


class TemplateError(ValueError):
    """A path template is malformed; the message says how."""


class PathError(ValueError):
    """A request's path cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A field that takes its value from the segments `start` to `end` of the path."""

    field_path: str
    start: int
    end: int | None  # None: up to the end of the path
    many: bool  # whether it can span several segments


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: literals, `*` and `**` in order, the verb after the colon, and the variables."""

    text: str
    segments: tuple[str, ...]
    verb: str
    variables: tuple[Variable, ...]

    @property
    def shape(self) -> str:
        """The template without its variables' names; two templates of one shape match the same paths."""
        return "/" + "/".join(self.segments) + (f":{self.verb}" if self.verb else "")


def parse(text: str) -> Template:
    """Parse a template such as `/v1/{name=a/*/b/**}:verb`."""
    if not text.startswith("/"):
        raise TemplateError("must begin with /")
    segments: list[str] = []
    variables: list[Variable] = []
    rest, verb = text[1:], ""
    while True:
        if rest.startswith("{"):
            inside, closed, rest = rest[1:].partition("}")
            if not closed:
                raise TemplateError("has a { without a }")
            name, has_pattern, pattern = inside.partition("=")
            if not _FIELD_PATH.fullmatch(name):
                raise TemplateError(f"has a bad field path {name!r}")
            parts = pattern.split("/") if has_pattern else [ONE]
            start = len(segments)
            segments += [_segment(part) for part in parts]
            end = None if REST in parts else len(segments)
            variables.append(Variable(name, start, end, len(parts) > 1 or REST in parts))
        else:
            part = re.match(r"[^/:{}]*", rest)
            taken = part.group() if part else ""
            segments.append(_segment(taken))
            rest = rest[len(taken) :]
        if rest.startswith(":"):
            verb, rest = rest[1:], ""
            if not _LITERAL.fullmatch(verb):
                raise TemplateError(f"has a bad verb {verb!r}")
        if not rest:
            break
        if not rest.startswith("/"):
            raise TemplateError(f"has {rest[0]!r} where a / must be")
        rest = rest[1:]
    if REST in segments[:-1]:
        raise TemplateError("has ** before its last segment")
    names = [variable.field_path for variable in variables]
    for name in names:
        if names.count(name) > 1:
            raise TemplateError(f"binds {name!r} twice")
    return Template(text, tuple(segments), verb, tuple(variables))


def _segment(text: str) -> str:
    if text in (ONE, REST) or _LITERAL.fullmatch(text):
        return text
    raise TemplateError(f"has a bad segment {text!r}")


def decode(raw: str) -> str:
    """Undo the percent escapes of one segment. A bad escape, bad UTF-8 or NUL raise `PathError`."""
    if "%" not in raw:
        text = raw
        if not raw.isascii():
            raise PathError("has bytes that are not ASCII")
    else:
        if _BAD_ESCAPE.search(raw):
            raise PathError("has a % that begins no escape")
        try:
            text = unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            raise PathError("has an escape that is not UTF-8") from None
    if "\0" in text:
        raise PathError("has a NUL character")
    return text


def decode_many(raw: list[str]) -> str:
    """The value of a variable that spans several segments: decoded, but an escaped slash stays escaped."""
    return "/".join("%2F".join(decode(piece) for piece in _SLASH.split(segment)) for segment in raw)
