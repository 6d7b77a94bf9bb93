"""Between HTTP and messages, for one route: path, query and body to a request's bytes, a reply's bytes to JSON.

What the contracts decide is looked up when a transcoder is made. It keeps no state between requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from protobuf import DescField, DescFieldValueMessage, DescMessage, Message, Registry

from gateway.contracts import templates
from gateway.contracts.fields import FieldError, find, message_of
from gateway.contracts.routes import Route
from gateway.http import conditional, media, problems
from gateway.transcode import patch, strict
from gateway.transcode.query import Query

HTTP_BODY = "google.api.HttpBody"
_FIELD_MASK = "google.protobuf.FieldMask"


@dataclass(slots=True)
class Reply:
    """A reply message as HTTP sends it."""

    body: bytes
    content_type: str
    etag: str = ""


class Transcoder:
    """Reads the requests and writes the replies of one route."""

    def __init__(self, route: Route, registry: Registry) -> None:
        self._route = route
        self._registry = registry
        self._input = route.rpc.input
        self._output = route.rpc.output
        self._query = Query(self._input, route.body, [field.path for field in route.path_fields])
        self._variables = tuple(zip(route.path_fields, route.template.variables, strict=True))
        body_kind = self._input if route.body == "*" else message_of(route.body_field)
        self._body_kind = body_kind
        self.takes_upload = bool(route.body) and body_kind is not None and body_kind.type_name == HTTP_BODY
        self._mask = _mask_field(route) if route.http_method == "PATCH" else None
        self._bound = _below(route)
        self._reply_kind = message_of(route.response_field) if route.response_field else self._output
        self.gives_download = self._reply_kind is not None and self._reply_kind.type_name == HTTP_BODY
        self._etag = None if route.response_field else conditional.etag_field(self._output)
        self._tags_bodies = route.http_method == "GET" and not route.streaming

    def request(self, segments: list[str], query: str, body: bytes, content_type: str) -> bytes:
        """The request message of a call, as bytes. `Problem` names each field that is wrong."""
        message = self._input.type()
        try:
            given = self._take_body(message, body, content_type) if body and self._route.body else None
            self._take_parameters(message, segments, query)
        except strict.ViolationError as error:
            raise problems.invalid(error.violations) from None
        if self._mask is not None and isinstance(given, dict) and self._body_kind is not None:
            self._fill_mask(message, self._mask, self._body_kind, given)
        return message.to_binary()

    def _take_body(self, message: Message, body: bytes, content_type: str) -> Any:
        field = self._route.body_field
        if self.takes_upload and self._body_kind is not None:
            upload = self._body_kind.type(content_type=content_type, data=body)
            if field is None:
                cast(Any, message).content_type, cast(Any, message).data = content_type, body
            else:
                message[field] = upload
            return None
        if field is None:
            return strict.merge(message, self._input, body, self._registry)
        return strict.merge(message, self._input, body, self._registry, field=field.name, key=field.json_name)

    def _take_parameters(self, message: Message, segments: list[str], query: str) -> None:
        parameters: dict[str, Any] = {}
        for field, variable in self._variables:
            try:
                raw = segments[variable.start : variable.end]
                text = templates.decode_many(raw) if variable.many else templates.decode(raw[0])
                field.place(parameters, [text])
            except templates.PathError as error:
                raise strict.ViolationError([(field.path, str(error))]) from None
            except FieldError as error:
                raise strict.ViolationError([(error.path, error.description)]) from None
        if query:
            try:
                self._query.place(query, parameters)
            except FieldError as error:
                raise strict.ViolationError([(error.path, error.description)]) from None
        if parameters:
            strict.merge_parameters(message, self._input, parameters, self._registry)

    def _fill_mask(self, message: Message, field: DescField, kind: DescMessage, body: dict[str, Any]) -> None:
        if field in message:
            return
        paths = patch.mask(kind, body, self._bound)
        mask = message_of(field)
        if paths and mask is not None:
            message[field] = mask.type(paths=paths)

    def reply(self, raw: bytes) -> Reply:
        """A reply message as JSON, or as the bytes that a `google.api.HttpBody` holds.

        Maps stay in the order in which they come: services write them in one, so that equal replies are equal bytes.
        """
        message = self._output.type.from_binary(raw)
        if self.gives_download:
            held: Any = message if self._route.response_field is None else message[self._route.response_field]
            if held is None:
                return Reply(b"", "application/octet-stream")
            etag = conditional.of_body(held.data) if self._tags_bodies else ""
            return Reply(held.data, held.content_type or "application/octet-stream", etag)
        text = message.to_json(always_emit_implicit=True, registry=self._registry)
        if self._route.response_field is not None:
            text = self._part(text, self._route.response_field)
        body = text.encode()
        tag = ""
        if self._etag is not None and (value := message[self._etag]):
            tag = conditional.of_value(value)
        elif self._tags_bodies:
            tag = conditional.of_body(body)
        return Reply(body, media.JSON, tag)

    def _part(self, text: str, field: DescField) -> str:
        """The JSON of one field of a message."""
        value = json.loads(text).get(field.json_name)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _mask_field(route: Route) -> DescField | None:
    """The field `update_mask` of a request whose body is one resource."""
    field = find(route.rpc.input, "update_mask")
    if message_of(route.body_field) is None or field is None:
        return None
    is_mask = isinstance(field.value, DescFieldValueMessage) and field.value.message.type_name == _FIELD_MASK
    return field if is_mask else None


def _below(route: Route) -> frozenset[str]:
    """What the path binds within the body's field; it says which resource, and is not changed."""
    prefix = f"{route.body}."
    paths = (field.path for field in route.path_fields)
    return frozenset(path.removeprefix(prefix) for path in paths if path.startswith(prefix))
