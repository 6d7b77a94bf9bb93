"""What the contracts promise of themselves: access on every method, routes where they belong, known reasons."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor

from bazaruto.common.v1 import error_reason_pb2
from bazaruto.operations.v1 import health_pb2, operations_pb2
from bazaruto.options.v1 import options_pb2
from bazaruto.payments.v1 import audit_pb2 as payments_audit_pb2
from bazaruto.payments.v1 import invoice_pb2, ledger_pb2, payment_pb2
from bazaruto.policies.v1 import audit_pb2 as policies_audit_pb2
from bazaruto.policies.v1 import policy_pb2
from bazaruto.quotes.v1 import audit_pb2 as quotes_audit_pb2
from bazaruto.quotes.v1 import product_pb2, quote_pb2
from bazaruto.users.v1 import audit_pb2 as users_audit_pb2
from bazaruto.users.v1 import auth_pb2, user_pb2
from libs.rpc import methods

AUDIT = (payments_audit_pb2, policies_audit_pb2, quotes_audit_pb2, users_audit_pb2)
BILLING = (invoice_pb2, ledger_pb2, payment_pb2)
MODULES = (health_pb2, operations_pb2, *AUDIT, *BILLING, policy_pb2, product_pb2, quote_pb2, auth_pb2, user_pb2)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


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


def test_method_without_access_is_refused_at_start() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="open.proto", package="open", syntax="proto3")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="Door")
    service.method.add(name="Enter", input_type=".open.Nothing", output_type=".open.Nothing")
    from google.protobuf import descriptor_pool

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(methods.ContractError, match=r"open\.Door/Enter does not declare who may call it"):
        methods.of_service(pool.FindServiceByName("open.Door"))
