"""The reference page at `/docs`: the OpenAPI document for people. One file, no script, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:17rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;padding:1rem;border-right:1px solid var(--line);font-size:.875rem}
nav a{display:block;padding:.125rem 0;text-decoration:none;color:inherit;overflow-wrap:anywhere}
nav a:hover,nav a:focus{text-decoration:underline}
nav h2{font-size:.875rem;margin:1rem 0 .25rem}
main{padding:1rem 2rem 4rem;max-width:62rem}
section{border-top:1px solid var(--line);padding-top:1rem;margin-top:2rem}
h3{overflow-wrap:anywhere}
pre{overflow:auto;padding:.5rem;background:var(--soft)}
code,pre,.method{font-family:ui-monospace,monospace;font-size:.9em}
.method{font-weight:700;margin-right:.5rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.375rem .5rem;border-bottom:1px solid var(--line)}
th{background:var(--soft)}
td:first-child{white-space:nowrap}
td p{margin:0}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto;border:0}main{padding:1rem}}
"""


def policy() -> str:
    """The content security policy of the page: its own style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"


def render(document: dict[str, Any]) -> bytes:
    """The page, as bytes."""
    about = document["info"]
    operations = [
        (path, method.removeprefix("x-"), operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    menu, content = [], []
    for tag in document["tags"]:
        name = tag["name"]
        menu.append(f"<h2>{escape(name)}</h2>")
        content.append(f'<section><h2 id="{escape(name)}">{escape(name)}</h2>{_text(tag["description"])}</section>')
        for path, method, operation in operations:
            if name in operation["tags"]:
                menu.append(f'<a href="#{operation["operationId"]}">{escape(operation["summary"])}</a>')
                content.append(_operation(document, path, method, operation))
    menu.append("<h2>Types</h2>")
    for name, schema in document["components"]["schemas"].items():
        menu.append(f'<a href="#{escape(name)}">{escape(name)}</a>')
        content.append(f'<section><h3 id="{escape(name)}">{escape(name)}</h3>{_schema(schema)}</section>')
    title = f"{escape(about['title'])} {escape(about['version'])}"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<nav aria-label="Contents"><strong>{title}</strong>'
        f'<a href="/openapi.json">OpenAPI document</a>{"".join(menu)}</nav>'
        f"<main><h1>{title}</h1>{_text(about['description'])}{''.join(content)}</main></body></html>\n"
    )
    return page.encode()


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    access = "Needs an access token." if operation["security"] else "For everybody."
    parts = [
        f'<section><h3 id="{operation["operationId"]}"><span class="method">{method.upper()}</span>'
        f"<code>{escape(path)}</code></h3>{_text(operation['description'])}<p>{access} "
        f"RPC: <code>{escape(operation['x-rpc'])}</code>. Takes at most {operation['x-deadline']}.</p>"
    ]
    if operation["parameters"]:
        rows = [
            (f"{one['name']}{' *' if one['required'] else ''}", f"{one['in']}: {_type(one['schema'])}", _note(one))
            for one in operation["parameters"]
        ]
        parts.append("<h4>Parameters</h4>" + _table(("Name", "Type", "Meaning"), rows))
    if "requestBody" in operation:
        limit = _text(operation["requestBody"]["description"])
        for kind, content in operation["requestBody"]["content"].items():
            parts.append(f"<h4>Body ({escape(kind)})</h4>{limit}{_schema(content['schema'])}")
            if "example" in content:
                text = json.dumps(content["example"], ensure_ascii=False, indent=2)
                parts.append(f"<p>For example:</p><pre>{escape(text)}</pre>")
    for kind, content in operation["responses"]["200"]["content"].items():
        parts.append(f"<h4>Answer ({escape(kind)})</h4>{_schema(content['schema'])}")
    if reasons := operation.get("x-error-reasons"):
        examples = operation["responses"]["default"]["content"]["application/json"]["examples"]
        rows = [(reason, "", escape(examples[reason]["summary"])) for reason in reasons]
        parts.append("<h4>Errors</h4>" + _table(("Reason", "", "Meaning"), rows))
    return "".join(parts) + "</section>"


def _schema(schema: dict[str, Any]) -> str:
    if "properties" not in schema:
        return f"<p>{_type(schema)}</p>{_text(schema.get('description', ''))}"
    required = schema.get("required", ())
    rows = [
        (f"{name}{' *' if name in required else ''}", _type(field), _note({"schema": field, **field}))
        for name, field in schema["properties"].items()
    ]
    return _text(schema.get("description", "")) + _table(("Field", "Type", "Meaning"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
    heads = "".join(f'<th scope="col">{title}</th>' for title in head)
    lines = (f"<tr><td><code>{escape(a)}</code></td><td>{b}</td><td>{c}</td></tr>" for a, b, c in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    type_name = schema.get("format") or schema.get("type") or "any JSON"
    return escape(str(type_name))


def _note(one: dict[str, Any]) -> str:
    schema = one["schema"]
    limits = [
        f"{name} <code>{escape(json.dumps(schema[name], ensure_ascii=False))}</code>"
        for name in ("pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")
        if name in schema
    ]
    if schema.get("readOnly"):
        limits.append("read only")
    if "example" in one:
        limits.append(f"for example <code>{escape(json.dumps(one['example'], ensure_ascii=False))}</code>")
    return _text(one.get("description", "")) + (f"<p><small>{', '.join(limits)}</small></p>" if limits else "")


def _text(text: str) -> str:
    """Paragraphs with code in backticks, and lists."""
    made = []
    for part in text.split("\n\n"):
        marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(part))
        if marked.startswith("- "):
            items = "".join(f"<li>{line.removeprefix('- ')}</li>" for line in marked.split("\n"))
            made.append(f"<ul>{items}</ul>")
        elif marked:
            made.append(f"<p>{marked}</p>")
    return "".join(made)
