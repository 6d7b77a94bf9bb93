"""The calls of `ProductService`."""

from __future__ import annotations

import grpc

from bazaruto.quotes.v1 import product_pb2 as pb
from bazaruto.quotes.v1 import product_pb2_grpc as rpc_pb
from libs import clock
from libs.errors import ResourceNotFound
from libs.rpc.pages import Page
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.messages import product_to_proto
from services.quotes.catalogue.rules.product import ProductNotAvailable


class ProductServicer(rpc_pb.ProductServiceServicer):
    """Answers the calls of `ProductService`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> pb.ListProductsResponse:
        page = Page.of(request, "products")
        products = [item for item in self._catalogue.all_on_sale(clock.now()) if item.code > page.after]
        shown, token = page.cut(products, key=lambda item: item.code)
        return pb.ListProductsResponse(products=[product_to_proto(item) for item in shown], next_page_token=token)

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.Product:
        if request.version:
            product = self._catalogue.version(request.product_code, request.version)
            if product is None:
                raise ResourceNotFound(resource="product")
            return product_to_proto(product)
        try:
            return product_to_proto(self._catalogue.on_sale(request.product_code, clock.now()))
        except ProductNotAvailable as error:
            raise ResourceNotFound(resource="product") from error
