"""The OpenAPI 3.1 document: the contracts, as tools for HTTP read them. The same contracts give the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from protobuf import DescField, DescFieldValueMap, DescFieldValueMessage, DescMessage, Registry

from gateway.contracts.descriptors import full_name
from gateway.contracts.fields import WELL_KNOWN, message_of
from gateway.contracts.routes import Route, RouteTable
from gateway.http import conditional, media, problems
from gateway.reference import comments, examples
from gateway.reference.schemas import Schema, Schemas
from gateway.transcode.transcoding import HTTP_BODY
from libs.rpc.limits import MAX_BODY_BYTES
from libs.version import VERSION

_ERROR = {"$ref": "#/components/responses/Error"}
_METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")
_QUERY_DEPTH = 3
_ABOUT = (
    "Bazaruto over HTTP and JSON.\n\n"
    "Fields are written in lowerCamelCase; 64-bit integers are strings. An error has the body of AIP-193: "
    "decide by `reason` in its `ErrorInfo`, never by a text. Every answer carries `x-trace-id`: quote it when you "
    "report something. `Request-Timeout` (seconds) or `Grpc-Timeout` shortens the deadline of a call."
)
_KEY_TEXT = "20 to 255 visible characters. A repeated call with the same key returns the first result."


def build(registry: Registry, table: RouteTable, max_body_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """Describe every route. `max_body_bytes` is the most that this gateway takes, whatever a method says."""
    schemas = Schemas(registry)
    paths: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    names: set[str] = set()
    by_shape: dict[str, tuple[str, list[str]]] = {}
    for route in table.routes:
        service = route.rpc.parent
        # Two paths that differ in the names of their variables only are one path to OpenAPI.
        path, variables = by_shape.setdefault(route.template.shape, _path(route))
        tags[service.name] = schemas.comment(service.type_name)
        operation = _operation(schemas, route, variables, max_body_bytes)
        number = 1
        while operation["operationId"] in names:  # additional bindings are operations of their own
            number += 1
            operation["operationId"] = f"{service.name}_{route.rpc.name}_{number}"
        names.add(operation["operationId"])
        method = route.http_method.lower()
        key = method if method in _METHODS else f"x-{method}"  # OpenAPI 3.1 knows these methods only
        paths.setdefault(path, {})[key] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bazaruto", "version": VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in sorted(tags.items())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas.collected(), "Error": _error_schema(schemas, registry)},
            "responses": {"Error": _error_response("An error.")},
            "securitySchemes": {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def encode(document: dict[str, Any]) -> bytes:
    """The document as bytes."""
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def _path(route: Route) -> tuple[str, list[str]]:
    """The path with plain names for its variables, and those names in order."""
    full = [variable.field_path for variable in route.template.variables]
    short = [name.rpartition(".")[2] for name in full]
    names = short if len(set(short)) == len(short) else [name.replace(".", "_") for name in full]
    left = iter(names)
    return re.sub(r"\{[^}]*\}", lambda _: f"{{{next(left)}}}", route.template.text), names


def _operation(schemas: Schemas, route: Route, variables: list[str], max_body_bytes: int) -> dict[str, Any]:
    rpc = route.rpc
    text = schemas.comment(f"{rpc.parent.type_name}.{rpc.name}")
    summary, *rest = comments.paragraphs(text) or [rpc.name]
    reasons = comments.reasons(text)
    example = examples.of_message(schemas.registry, rpc.input)
    access = route.options.access
    roles = sorted(access.roles)
    if roles:
        rest.append(f"Needs one of the roles: {_codes(roles)}.")
    if access.sees and access.sees != access.roles:
        rest.append(f"Everybody's records are shown to the roles: {_codes(sorted(access.sees))}.")
    if access.partner:
        rest.append("Members of a partner are shown the records that came by it.")
    if access.authority:
        rest.append(f"Looks at the limit `{access.authority}` of the caller's authority.")
    operation: dict[str, Any] = {
        "operationId": f"{rpc.parent.name}_{rpc.name}",
        "tags": [rpc.parent.name],
        "summary": re.split(r"(?<=[.:;]) ", summary)[0].rstrip(".:;"),
        "description": "\n\n".join([summary, *rest]),
        "parameters": list(_parameters(schemas, route, variables, example)),
    }
    if route.body:
        operation["requestBody"] = _request_body(schemas, route, max_body_bytes, example)
    operation["responses"] = _responses(schemas, route, reasons)
    operation["security"] = [] if route.is_public else [{"accessToken": []}]
    if rpc.deprecated:
        operation["deprecated"] = True
    operation["x-rpc"] = full_name(rpc)[1:]
    operation["x-deadline"] = f"{route.options.limits.seconds:g}s"
    if roles:
        operation["x-roles"] = roles
    if reasons:
        operation["x-error-reasons"] = reasons
    return operation


def _codes(words: list[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _parameters(
    schemas: Schemas, route: Route, variables: list[str], example: dict[str, Any] | None
) -> Iterator[dict[str, Any]]:
    bound = set()
    for field, name in zip(route.path_fields, variables, strict=True):
        bound.add(field.path)
        described = _at(route.rpc.input, field.path)
        schema = schemas.field(described)
        if "pattern" in schema:  # an empty value cannot stand in a path
            schema["pattern"] = schema["pattern"].removeprefix("^$|")
        yield _parameter(name, "path", schema, required=True, example=examples.at(example, field.path))
    if route.body != "*":
        skipped = bound | ({route.body} if route.body else set())
        for path, name, one in _query_fields(route.rpc.input, skipped):
            required = _must_be_given(schemas, route, one)
            value = examples.at(example, path)
            yield _parameter(name, "query", schemas.field(one), required=required, example=value)
    if route.needs_key or route.may_have_key:
        key = {"type": "string", "minLength": 20, "maxLength": 255, "description": _KEY_TEXT}
        yield _parameter("Idempotency-Key", "header", key, required=route.needs_key)
    if route.options.limits.if_match:
        tag = {"type": "string", "description": "An entity tag. Change only if it is still the current one."}
        yield _parameter("If-Match", "header", tag)
    if route.http_method == "GET" and conditional.etag_field(route.rpc.output) is not None and not route.streaming:
        tag = {"type": "string", "description": "An entity tag. Answer 304 if it is still the current one."}
        yield _parameter("If-None-Match", "header", tag)


def _parameter(name: str, place: str, schema: Schema, *, required: bool = False, example: Any = None) -> dict[str, Any]:
    parameter: dict[str, Any] = {"name": name, "in": place, "required": required}
    if text := schema.pop("description", ""):
        parameter["description"] = text
    schema.pop("readOnly", None)
    parameter["schema"] = schema
    if example is not None:
        parameter["example"] = example
    return parameter


def _must_be_given(schemas: Schemas, route: Route, field: DescField) -> bool:
    is_own_mask = field.name == "update_mask" and route.http_method == "PATCH"  # it is made of the body
    return field.parent is route.rpc.input and schemas.is_required(field) and not is_own_mask


def _query_fields(
    message: DescMessage, skipped: set[str], path: str = "", name: str = "", depth: int = 1
) -> Iterator[tuple[str, str, DescField]]:
    """Path, name of the parameter and field of everything that an address can carry."""
    for field in message.fields:
        here, parameter = f"{path}{field.name}", f"{name}{field.json_name}"
        if here in skipped or isinstance(field.value, DescFieldValueMap):
            continue
        if isinstance(field.value, DescFieldValueMessage):
            inner = field.value.message
            if inner.type_name not in WELL_KNOWN:
                if depth < _QUERY_DEPTH:
                    yield from _query_fields(inner, skipped, f"{here}.", f"{parameter}.", depth + 1)
                continue
        yield here, parameter, field


def _at(message: DescMessage, path: str) -> DescField:
    *outer, last = path.split(".")
    for name in outer:
        inner = message_of(next(field for field in message.fields if field.name == name))
        message = inner or message
    return next(field for field in message.fields if field.name == last)


def _request_body(
    schemas: Schemas, route: Route, max_body_bytes: int, example: dict[str, Any] | None
) -> dict[str, Any]:
    if route.body_field is not None:
        kind = message_of(route.body_field)
        partial = route.http_method == "PATCH"
        schema = schemas.refer(kind, partial=partial) if kind else schemas.field(route.body_field)
        required = schemas.is_required(route.body_field)
    else:
        kind = route.rpc.input
        bound = frozenset(field.path for field in route.path_fields)
        schema = schemas.message(kind, without=bound) if bound else schemas.refer(kind)
        required = any(schemas.is_required(f) for f in kind.fields if f.name not in bound)
    content_type = "*/*" if kind is not None and kind.type_name == HTTP_BODY else media.JSON
    content: dict[str, Any] = {"schema": schema}
    if example is not None and content_type == media.JSON:
        body = examples.without(example, [field.path for field in route.path_fields])
        content["example"] = body if route.body == "*" else examples.at(body, route.body)
    return {
        "description": f"At most {min(route.options.limits.body_bytes, max_body_bytes)} bytes.",
        "required": required,
        "content": {content_type: content},
    }


def _responses(schemas: Schemas, route: Route, reasons: list[str]) -> dict[str, Any]:
    kind = message_of(route.response_field) if route.response_field else route.rpc.output
    schema = schemas.refer(kind) if kind else schemas.field(route.response_field) if route.response_field else {}
    if kind is not None and kind.type_name == HTTP_BODY:
        content: dict[str, Any] = {"application/octet-stream": {"schema": schema}}
    elif route.streaming:
        content = {media.NDJSON: {"schema": schema}, media.EVENTS: {"schema": {"type": "string"}}}
    else:
        content = {media.JSON: {"schema": schema}}
    text = "A stream: one object a line, or one event each." if route.streaming else "Done."
    responses: dict[str, Any] = {"200": {"description": text, "content": content}}
    if route.http_method == "GET" and not route.streaming:
        responses["304"] = {"description": "Not changed since the version that `If-None-Match` names."}
    responses["400"] = _ERROR
    if not route.is_public:
        responses["401"] = _ERROR
    default = _error_response("Any other error." + _listed(reasons))
    if reasons:
        default["content"][media.JSON]["examples"] = {reason: _example(schemas, reason) for reason in reasons}
    responses["default"] = default
    return responses


def _listed(reasons: list[str]) -> str:
    return f" Reasons: {', '.join(f'`{reason}`' for reason in reasons)}." if reasons else ""


def _example(schemas: Schemas, reason: str) -> dict[str, Any]:
    text = schemas.comment(f"bazaruto.common.v1.ErrorReason.{reason}")
    error_info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": problems.DOMAIN}
    known = next((code for code in problems.CODES.values() if code[2] == reason), None)
    error: dict[str, Any] = {"code": known[1], "status": known[0]} if known else {}
    error = {**error, "message": text, "details": [error_info]}
    return {"summary": text or reason, "value": {"error": error}}


def _error_response(text: str) -> dict[str, Any]:
    return {
        "description": text,
        "content": {media.JSON: {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _error_schema(schemas: Schemas, registry: Registry) -> Schema:
    reasons = registry.enum("bazaruto.common.v1.ErrorReason")
    reason: Schema = {"type": "string"}
    if reasons is not None:
        names = [value.name for value in reasons.values if value.number]
        lines = [f"- `{name}`: {schemas.comment(f'{reasons.type_name}.{name}')}" for name in names]
        reason["description"] = "\n".join(lines)
    detail = {
        "type": "object",
        "properties": {"@type": {"type": "string"}, "reason": reason},
        "required": ["@type"],
        "additionalProperties": True,
    }
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "status": {"type": "string", "description": "The name of the gRPC code."},
            "message": {"type": "string", "description": "For people; it may change at any time."},
            "details": {"type": "array", "items": detail},
        },
        "required": ["code", "status", "message", "details"],
    }
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}
