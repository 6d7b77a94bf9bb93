"""The services that users calls: quotes and policies. Messages in and out, plain values here."""

from __future__ import annotations

import grpc

from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import product_version_pb2 as products_pb


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._products = products_rpc.ProductServiceStub(channel)

    def has_product(self, code: str) -> bool:
        """Whether there is a product of that code, on sale or not. `NeighbourUnavailable` without an answer."""
        request = products_pb.ListProductVersionsRequest(product_code=code, page_size=1)
        return bool(self._products.ListProductVersions(request).versions)
