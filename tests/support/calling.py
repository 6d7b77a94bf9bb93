"""Calling any method of the platform by its contract, over gRPC and over HTTP, and hearing why it is refused."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
import httpx
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bazaruto.options.v1 import options_pb2
from libs.config import Settings
from tests.support.errors import status_of

_KEYED = (
    options_pb2.IDEMPOTENCY_REQUIRED,
    options_pb2.IDEMPOTENCY_OPTIONAL,
    options_pb2.IDEMPOTENCY_FORWARDED,
)
_VARIABLE = re.compile(r"\{([^}=]+)[^}]*\}")
_PATIENCE = 30.0  # seconds, on a busy machine


@dataclass(frozen=True)
class Answer:
    """How a call ended: the reason of its error, and which resource is not there if that is why; empty for success."""

    reason: str = ""
    resource: str = ""
    text: str = ""
    """The reply as JSON, or the message of the error."""

    @property
    def is_denied(self) -> bool:
        """Whether the caller was not admitted to the method at all."""
        return self.reason in ("TOKEN_INVALID", "ACCESS_DENIED")


def route_of(method: MethodDescriptor) -> tuple[str, str, str]:
    """The verb, the path and the body of a method over HTTP; empty where it has no route."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern") or ""
    return verb, getattr(rule, verb) if verb else "", rule.body


def is_read(method: MethodDescriptor) -> bool:
    """Whether calling it changes nothing."""
    idempotency = method.GetOptions().Extensions[options_pb2.idempotency]
    return route_of(method)[0] == "get" or idempotency == options_pb2.IDEMPOTENCY_NO_EFFECT


def named_in_path(method: MethodDescriptor) -> str:
    """The first field that the path of a method takes: `quote_id`, `user.user_id`; empty when it takes none."""
    match = _VARIABLE.search(route_of(method)[1])
    return match[1] if match else ""


def example_of(method: MethodDescriptor, ids: dict[str, str]) -> Message:
    """The example of a method's request, with those identifiers instead of its own, by the names of their fields."""
    request = GetMessageClass(method.input_type)()
    json_format.Parse(method.input_type.GetOptions().Extensions[options_pb2.example], request)
    _name(request, ids)
    return request


class Caller:
    """Calls methods of a running platform."""

    def __init__(self, settings: Settings, http: httpx.Client, authorization: str) -> None:
        self._settings = settings
        self._http = http
        self._authorization = authorization

    def by_grpc(self, method: MethodDescriptor, request: Message) -> Answer:
        """Call it at the service that has it; of a stream, only the first message."""
        package = method.containing_service.file.package.split(".")[1]
        target = self._settings.services[package if package in self._settings.services else "users"].target
        metadata = [("authorization", self._authorization)] if self._authorization else []
        if method.GetOptions().Extensions[options_pb2.idempotency] in _KEYED:
            metadata.append(("idempotency-key", secrets.token_hex(16)))
        with grpc.insecure_channel(target) as channel:
            connect: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
            path = f"/{method.containing_service.full_name}/{method.name}"
            call = connect(path, type(request).SerializeToString, GetMessageClass(method.output_type).FromString)
            try:
                reply = call(request, metadata=metadata, timeout=_PATIENCE)
                return Answer(text=json_format.MessageToJson(next(reply) if method.server_streaming else reply))
            except grpc.RpcError as error:
                details = json_format.MessageToDict(status_of(error)).get("details", [])
                return _refusal(details, status_of(error).message)

    def by_http(self, method: MethodDescriptor, request: Message) -> Answer:
        """Call it by its route."""
        verb, path, body = route_of(method)
        fields = json_format.MessageToDict(request, preserving_proto_field_name=True)
        address = _VARIABLE.sub(lambda match: quote(_take(fields, match[1]) or "-", safe=""), path)
        headers = {"authorization": self._authorization} if self._authorization else {}
        if method.GetOptions().Extensions[options_pb2.idempotency] in _KEYED:
            headers["idempotency-key"] = secrets.token_hex(16)
        sent = None if not body else fields if body == "*" else fields.get(body, {})
        query = {"updateMask": fields["update_mask"]} if body != "*" and "update_mask" in fields else {}
        answer = self._http.request(verb, address, params=query, json=sent, headers=headers)
        if answer.is_success:
            return Answer(text=answer.text)
        error = answer.json()["error"]
        return _refusal(error["details"], error["message"])


def _refusal(details: list[dict[str, Any]], message: str) -> Answer:
    info = next((detail for detail in details if "reason" in detail), {})
    return Answer(info.get("reason", "?"), info.get("metadata", {}).get("resource", ""), message)


def _name(message: Message, ids: dict[str, str]) -> None:
    """Put identifiers into the fields of that name, wherever they stand."""
    for field, value in message.ListFields():
        if field.name in ids and isinstance(value, str):
            setattr(message, field.name, ids[field.name])
        elif isinstance(value, Message):
            _name(value, ids)


def _take(fields: dict[str, Any], path: str) -> str:
    """Take the value at a path out of the fields."""
    *parents, last = path.split(".")
    for parent in parents:
        fields = fields.get(parent, {})
    return str(fields.pop(last, ""))
