"""The services that users calls: quotes and policies. Messages in and out, plain values here."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import grpc

from bazaruto.policies.v1 import parties_pb2
from bazaruto.policies.v1 import policy_pb2_grpc as policies_rpc
from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import product_version_pb2 as products_pb
from libs import ids
from libs.rpc import values


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._products = products_rpc.ProductServiceStub(channel)

    def has_product(self, code: str) -> bool:
        """Whether there is a product of that code, on sale or not. `NeighbourUnavailable` without an answer."""
        request = products_pb.ListProductVersionsRequest(product_code=code, page_size=1)
        return bool(self._products.ListProductVersions(request).versions)


class Policies:
    """The policies service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._policies = policies_rpc.PolicyServiceStub(channel)

    def tell_partner(self, customer_id: UUID, version: int, partner_id: UUID | None, since: date) -> int:
        """Have the policies of a customer served by a partner; gives how many could not be changed yet.

        Repeating it changes nothing, and an older version than the newest that is known neither.
        """
        request = parties_pb2.PartyChangedRequest(
            customer_id=ids.encode("cus", customer_id),
            version=version,
            partner_id=ids.encode("par", partner_id) if partner_id else "",
            start_date=values.date_to_proto(since),
        )
        waiting = 0
        while True:
            answer = self._policies.PartyChanged(request)
            waiting += answer.waiting
            request.after_policy_id = answer.next_policy_id
            if not answer.next_policy_id:
                return waiting
