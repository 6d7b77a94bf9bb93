"""The page at `/ops` as one document: markup, style and script put together once, each allowed by its hash.

It holds no figure. What it shows comes from `/ops/data` and goes into the document as text: the policy forbids the
browser to make markup out of a string.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

_PARTS: Final = files("gateway.pages.operations") / "page"


def build() -> tuple[bytes, bytes]:
    """The document, and the content security policy that it is sent with."""
    markup, style, script = ((_PARTS / f"ops.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    html = markup.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return html.encode(), policy.encode()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
