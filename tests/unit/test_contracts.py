"""What the contracts promise of themselves: access on every method, routes where they belong, known reasons."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any, cast

import grpc
import protovalidate
import pytest
from buf.validate import validate_pb2
from google.api import annotations_pb2, field_behavior_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from bazaruto.common.v1 import error_reason_pb2
from bazaruto.operations.v1 import health_pb2, operations_pb2
from bazaruto.options.v1 import options_pb2
from bazaruto.payments.v1 import audit_pb2 as payments_audit_pb2
from bazaruto.payments.v1 import billing_pb2, invoice_pb2, ledger_pb2, payment_method_pb2, payment_pb2
from bazaruto.policies.v1 import audit_pb2 as policies_audit_pb2
from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import audit_pb2 as quotes_audit_pb2
from bazaruto.quotes.v1 import product_pb2, quote_pb2, rate_change_pb2
from bazaruto.users.v1 import audit_pb2 as users_audit_pb2
from bazaruto.users.v1 import auth_pb2, customer_pb2, partner_pb2, user_pb2
from bazarutod.stack import SERVICES
from libs import ids
from libs.identity.authority import Authority
from libs.identity.callers import Caller
from libs.money import Money
from libs.rpc import calls, methods
from libs.rpc.page_tokens import PageTokens
from tests.support.access import ACCESS_CONTRADICTIONS

AUDIT = (payments_audit_pb2, policies_audit_pb2, quotes_audit_pb2, users_audit_pb2)
BILLING = (billing_pb2, invoice_pb2, ledger_pb2, payment_method_pb2, payment_pb2)
MODULES = (
    health_pb2,
    operations_pb2,
    *AUDIT,
    *BILLING,
    policy_pb2,
    product_pb2,
    quote_pb2,
    rate_change_pb2,
    auth_pb2,
    customer_pb2,
    partner_pb2,
    user_pb2,
)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
ROLES = {name.removeprefix("ROLE_").lower() for name in user_pb2.User.Role.keys()} - {"unspecified"}  # noqa: SIM118
TYPED_BY_NOBODY = {
    *("page_token", "token", "refresh_token", "password", "payment_method", "email", "phone", "tax_id", "definition"),
    *("actor", "resource", "action", "rule", "source_id", "policy_number", "quote_number", "time_zone", "rule_codes"),
    *("plan_code", "product_code", "coverage_code", "charge_code", "object_id"),
}
"""Texts without a pattern that no person writes for others to read: ids, codes, secrets, what is looked up."""
WAITS_FOR_THE_PROVIDER = {
    "bazaruto.payments.v1.PaymentService.PayInvoice",
    "bazaruto.payments.v1.PaymentService.ConfirmPayment",
}


def _comments() -> dict[str, str]:
    """The comment of every method, by its full name."""
    descriptors = descriptor_pb2.FileDescriptorSet.FromString((files("bazaruto") / "descriptors.binpb").read_bytes())
    return {
        f"{file.package}.{file.service[path[1]].name}.{file.service[path[1]].method[path[3]].name}": comment
        for file in descriptors.file
        if file.package.startswith("bazaruto.")
        for location in file.source_code_info.location
        if (path := location.path)[:1] == [6]
        and len(path) == 4
        and path[2] == 2
        and (comment := location.leading_comments)
    }


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_method_says_who_may_call_it(method: MethodDescriptor) -> None:
    access = method.GetOptions().Extensions[options_pb2.access]
    assert access.audience != options_pb2.AUDIENCE_UNSPECIFIED
    assert bool(access.roles) == (access.audience == options_pb2.AUDIENCE_ROLES)
    assert bool(access.services) == (access.audience == options_pb2.AUDIENCE_INTERNAL)
    assert {*access.roles, *access.sees} <= ROLES
    assert set(access.services) <= {*SERVICES, "gateway"}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_exactly_the_methods_for_services_have_no_route(method: MethodDescriptor) -> None:
    options = method.GetOptions()
    internal = options.Extensions[options_pb2.access].audience == options_pb2.AUDIENCE_INTERNAL
    assert options.HasExtension(annotations_pb2.http) is not internal


def test_reasons_that_comments_name_exist() -> None:
    known = set(error_reason_pb2.ErrorReason.keys())
    others = {"STATE_REQUIRES_ACTION", "STATE_PROCESSING"}
    for name, comment in _comments().items():
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", comment))
        assert named <= known | others, name


def door(options: descriptor_pb2.MethodOptions, *, stream: bool = False) -> ServiceDescriptor:
    """A service with one method."""
    file = descriptor_pb2.FileDescriptorProto(name="open.proto", package="open", syntax="proto3")
    file.message_type.add(name="Nothing")
    method = file.service.add(name="Door").method.add(
        name="Enter", input_type=".open.Nothing", output_type=".open.Nothing", server_streaming=stream
    )
    method.options.CopyFrom(options)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    service: ServiceDescriptor = pool.FindServiceByName("open.Door")
    return service


def public(**rule: str) -> descriptor_pb2.MethodOptions:
    """Options of a method for everybody, with a route where there is a rule."""
    options = descriptor_pb2.MethodOptions()
    options.Extensions[options_pb2.access].audience = options_pb2.AUDIENCE_PUBLIC
    if rule:
        options.Extensions[annotations_pb2.http].MergeFrom(http_pb2.HttpRule(**rule))
    return options


def test_method_without_access_is_refused_at_start() -> None:
    with pytest.raises(methods.ContractError, match=r"open\.Door/Enter does not declare who may call it"):
        methods.of_service(door(descriptor_pb2.MethodOptions()))


def admitting(audience: str, **access: Any) -> descriptor_pb2.MethodOptions:
    """Options of a method that admits those callers."""
    options = descriptor_pb2.MethodOptions()
    options.Extensions[options_pb2.access].CopyFrom(
        options_pb2.Access(audience=options_pb2.Audience.Value(f"AUDIENCE_{audience}"), **access)
    )
    return options


@pytest.mark.parametrize(("audience", "access", "why"), ACCESS_CONTRADICTIONS)
def test_access_that_contradicts_itself_is_refused_at_start(audience: str, access: dict[str, Any], why: str) -> None:
    with pytest.raises(methods.ContractError, match=rf"open\.Door/Enter: option access {why}"):
        methods.of_service(door(admitting(audience, **access)))


def test_access_that_fits_together_is_read_as_it_stands() -> None:
    options = admitting(
        "ROLES", roles=["underwriter", "admin"], sees=["admin"], partner=True, authority="underwriting_level"
    )
    (method,) = methods.of_service(door(options)).values()
    assert method.access.roles == {"underwriter", "admin"}
    assert method.access.sees == {"admin"}
    assert (method.access.partner, method.access.authority) == (True, "underwriting_level")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_only_what_waits_for_the_provider_takes_longer_than_its_kind(method: MethodDescriptor) -> None:
    reads = method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern") == "get"
    seconds = 60 if method.server_streaming else 2 if reads else 5
    if method.full_name in WAITS_FOR_THE_PROVIDER:
        seconds = 30
    declared = methods.of_service(method.containing_service)
    assert declared[f"/{method.containing_service.full_name}/{method.name}"].default_seconds == seconds


def test_versions_are_looked_at_by_these_methods() -> None:
    looking = {
        method.full_name
        for service in {method.containing_service.full_name: method.containing_service for method in METHODS}.values()
        for method in methods.of_service(service).values()
        if method.if_match
    }
    assert looking == {
        "bazaruto.users.v1.UserService/UpdateUser",
        "bazaruto.users.v1.UserService/SetAuthority",
        "bazaruto.users.v1.CustomerService/UpdateCustomer",
        "bazaruto.users.v1.PartnerService/UpdatePartner",
        "bazaruto.policies.v1.PolicyService/IssueEndorsement",
        "bazaruto.policies.v1.PolicyService/QuoteEndorsement",
        "bazaruto.policies.v1.PolicyService/ReinstatePolicy",
        "bazaruto.policies.v1.PolicyService/ReversePolicyTransaction",
        "bazaruto.policies.v1.PolicyService/CancelPolicy",
        "bazaruto.policies.v1.PolicyService/RescindCancellation",
        "bazaruto.policies.v1.PolicyService/SetBeneficiaries",
        "bazaruto.quotes.v1.QuoteService/AcceptQuote",
        "bazaruto.quotes.v1.QuoteService/UpdateQuote",
        "bazaruto.quotes.v1.QuoteService/DecideReferral",
        "bazaruto.payments.v1.BillingService/UpdateBillingAccount",
    }


def test_look_at_the_version_that_a_method_does_not_declare_is_an_error() -> None:
    (method,) = methods.of_service(door(public())).values()
    call = calls.Call(method, {}, 0.0, cast(grpc.ServicerContext, None), PageTokens(b"secret"))
    with pytest.raises(methods.ContractError, match=r"open\.Door/Enter does not declare option if_match"):
        call.check_etag("v1")


def test_limit_that_a_method_does_not_declare_is_an_error() -> None:
    authority = Authority(underwriting_level=4, claim_limit={"EUR": 500_00})
    caller = Caller(user_id=ids.new(), authority=authority)
    declared = {
        name: next(iter(methods.of_service(door(admitting("AUTHENTICATED", authority=name))).values()))
        for name in ("", "underwriting_level", "claim_limit", "refund_limit")
    }
    asked = {
        name: calls.Call(method, {}, 0.0, cast(grpc.ServicerContext, None), PageTokens(b"secret"), caller)
        for name, method in declared.items()
    }
    assert asked["claim_limit"].limit("EUR") == Money(500_00, "EUR")
    assert asked["claim_limit"].limit("MZN") == asked["refund_limit"].limit("MZN") == Money(0, "MZN")
    assert asked["underwriting_level"].level == 4
    for name in ("", "underwriting_level"):
        with pytest.raises(methods.ContractError, match="does not declare a limit"):
            asked[name].limit("EUR")
    with pytest.raises(methods.ContractError, match="does not declare the authority underwriting_level"):
        asked["claim_limit"].level


def _too_long(options: descriptor_pb2.MethodOptions) -> None:
    options.Extensions[options_pb2.deadline].FromSeconds(31)


def _too_large(options: descriptor_pb2.MethodOptions) -> None:
    options.Extensions[options_pb2.max_body_bytes] = 1048577


def _versioned(options: descriptor_pb2.MethodOptions) -> None:
    options.Extensions[options_pb2.if_match] = True


@pytest.mark.parametrize(
    ("rule", "declare", "stream", "why"),
    [
        ({}, _too_long, False, "option deadline is more than 30 s"),
        ({"post": "/v1/door", "body": "*"}, _too_large, False, "option max_body_bytes is not between 1 and 1048576"),
        ({"post": "/v1/door"}, _too_large, False, "option max_body_bytes is for a route with a body"),
        ({"get": "/v1/door"}, _versioned, False, "option if_match is for a change"),
        ({}, _versioned, True, "option if_match is for a change"),
    ],
)
def test_options_that_contradict_their_method_are_refused_at_start(
    rule: dict[str, str], declare: Callable[[descriptor_pb2.MethodOptions], None], stream: bool, why: str
) -> None:
    options = public(**rule)
    declare(options)
    with pytest.raises(methods.ContractError, match=rf"open\.Door/Enter: {why}"):
        methods.of_service(door(options, stream=stream))


REQUESTS = sorted({method.input_type.full_name: method.input_type for method in METHODS}.items())


@pytest.mark.parametrize("request_type", [message for _, message in REQUESTS], ids=[name for name, _ in REQUESTS])
def test_every_request_has_an_example_that_may_be_sent(request_type: Descriptor) -> None:
    options = request_type.GetOptions()
    assert options.HasExtension(options_pb2.example)
    request = message_factory.GetMessageClass(request_type)()
    json_format.Parse(options.Extensions[options_pb2.example], request)
    protovalidate.validate(request)


def _asked(kind: Descriptor, known: set[str]) -> set[str]:
    """The messages of a request, with those in it."""
    if kind.full_name not in known and kind.full_name.startswith("bazaruto."):
        known.add(kind.full_name)
        for field in kind.fields:
            if field.message_type and field_behavior_pb2.OUTPUT_ONLY not in _behaviour(field):
                _asked(field.message_type, known)
    return known


def _behaviour(field: FieldDescriptor) -> list[Any]:
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def _is_free(field: FieldDescriptor) -> bool:
    """Whether a caller may write any text, up to a length, into a field."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    of_text = rules.repeated.items.string if field.is_repeated else rules.string
    return bool(of_text.max_len) and not (of_text.pattern or of_text.WhichOneof("well_known") or getattr(of_text, "in"))


def test_texts_that_people_write_are_declared_as_such() -> None:
    internal = {
        m.full_name
        for m in METHODS
        if m.GetOptions().Extensions[options_pb2.access].audience == options_pb2.AUDIENCE_INTERNAL
    }
    asked = set[str]()
    for method in METHODS:
        if method.full_name not in internal:
            _asked(method.input_type, asked)
    undeclared = [
        field.full_name
        for name in sorted(asked)
        for field in descriptor_pool.Default().FindMessageTypeByName(name).fields
        if field.type == FieldDescriptor.TYPE_STRING
        and field_behavior_pb2.OUTPUT_ONLY not in _behaviour(field)
        and not field.GetOptions().Extensions[options_pb2.text]
        and field.name not in TYPED_BY_NOBODY
        and _is_free(field)
    ]
    assert undeclared == [], "option text says whether it is a line or lines"
