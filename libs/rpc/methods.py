"""What the contracts say about each method, read once at start.

Default deny: a method that does not declare who may call it stops the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from bazaruto.options.v1 import options_pb2
from libs.rpc import access, limits
from libs.rpc.access import Access


class ContractError(Exception):
    """A contract lacks something that a server needs to know, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a contract."""

    path: str
    """As on the wire: `/bazaruto.books.v1.BookService/GetBook`."""
    access: Access
    """Who may call, and whose records are shown."""
    idempotency: int
    default_seconds: float
    """The deadline of a call that brings none."""
    if_match: bool
    """Whether a call may depend on the version of what it changes."""
    reply_class: type[Message]
    previews: bool = False
    """Whether the request has the field `validate_only`: everything is checked then, and nothing done."""
    secret_fields: tuple[str, ...] = ()
    """Fields of the request that the contract marks with `debug_redact`: nothing that is kept is made of them.

    Those of a message in it are there with its name before theirs: `book.title`.
    """

    @property
    def full_name(self) -> str:
        """As in metrics and spans: `bazaruto.books.v1.BookService/GetBook`."""
        return self.path[1:]

    @property
    def needs_key(self) -> bool:
        """Whether a call without an idempotency key is refused."""
        return self.idempotency in (options_pb2.IDEMPOTENCY_REQUIRED, options_pb2.IDEMPOTENCY_FORWARDED)

    @property
    def takes_key(self) -> bool:
        """Whether an idempotency key has a meaning here."""
        return self.needs_key or self.idempotency == options_pb2.IDEMPOTENCY_OPTIONAL

    @property
    def forwards_key(self) -> bool:
        """Whether a neighbour keeps the key, because it has the effect."""
        return self.idempotency == options_pb2.IDEMPOTENCY_FORWARDED


def of_service(service: ServiceDescriptor) -> dict[str, Method]:
    """The methods of a service, by path. `ContractError` names a method that does not say who may call it, or whose
    options contradict each other.
    """
    return {method.path: method for method in map(_of_method, service.methods)}


def _of_method(descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    declared = options.Extensions[options_pb2.access]
    name = f"{descriptor.containing_service.full_name}/{descriptor.name}"
    if declared.audience == options_pb2.AUDIENCE_UNSPECIFIED:
        raise ContractError(f"{name} does not declare who may call it (option bazaruto.options.v1.access)")
    limit = _limits(descriptor, options, name)
    return Method(
        path=f"/{name}",
        access=_access(declared, name),
        idempotency=options.Extensions[options_pb2.idempotency],
        default_seconds=limit.seconds,
        if_match=limit.if_match,
        reply_class=GetMessageClass(descriptor.output_type),
        previews="validate_only" in descriptor.input_type.fields_by_name,
        secret_fields=tuple(_secret_fields(descriptor.input_type)),
    )


def _secret_fields(message: Descriptor, before: str = "") -> Iterator[str]:
    """The paths of the fields that are marked with `debug_redact`: of the request, and of the resource in it."""
    for field in message.fields:
        if field.GetOptions().debug_redact:
            yield before + field.name
        elif field.message_type and not field.is_repeated and not before:
            yield from _secret_fields(field.message_type, f"{field.name}.")


def _access(declared: options_pb2.Access, name: str) -> Access:
    try:
        return access.of_method(
            declared.audience,
            roles=declared.roles,
            sees=declared.sees,
            partner=declared.partner,
            authority=declared.authority,
            services=declared.services,
        )
    except access.AccessInvalid as error:
        raise ContractError(f"{name}: {error}") from None


def _limits(descriptor: MethodDescriptor, options: MethodOptions, name: str) -> limits.MethodLimits:
    rule = options.Extensions[annotations_pb2.http]
    deadline = options.Extensions[options_pb2.deadline] if options.HasExtension(options_pb2.deadline) else None
    has_body_limit = options.HasExtension(options_pb2.max_body_bytes)
    try:
        return limits.of_method(
            reads=rule.WhichOneof("pattern") == "get",
            streams=descriptor.server_streaming,
            has_body=any(one.body for one in (rule, *rule.additional_bindings)),
            deadline=None if deadline is None else deadline.ToTimedelta().total_seconds(),
            max_body_bytes=options.Extensions[options_pb2.max_body_bytes] if has_body_limit else None,
            if_match=options.Extensions[options_pb2.if_match],
        )
    except limits.LimitInvalid as error:
        raise ContractError(f"{name}: {error}") from None
