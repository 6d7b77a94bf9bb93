"""The calls of `ProductService`."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import grpc
from google.type import money_pb2

from bazaruto.quotes.v1 import product_pb2 as pb
from bazaruto.quotes.v1 import product_pb2_grpc as rpc_pb
from libs.errors import ResourceNotFound
from libs.money import Money
from libs.rpc import values
from libs.rpc.pages import Page
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.rules.product import CoverageOffer, Product, ProductNotAvailable, Question

_TYPES = {
    "integer": pb.Question.TYPE_INTEGER,
    "boolean": pb.Question.TYPE_BOOLEAN,
    "choice": pb.Question.TYPE_CHOICE,
}


class ProductServicer(rpc_pb.ProductServiceServicer):
    """Answers the calls of `ProductService`."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> pb.ListProductsResponse:
        page = Page.of(request, "products")
        found = [item for item in self._catalogue.all_on_sale(datetime.now(UTC)) if item.code > page.after]
        shown, token = page.cut(found, key=lambda item: item.code)
        return pb.ListProductsResponse(products=[product_to_proto(item) for item in shown], next_page_token=token)

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.Product:
        if request.version:
            product = self._catalogue.version(request.product_code, request.version)
            if product is None:
                raise ResourceNotFound(resource="product")
            return product_to_proto(product)
        try:
            return product_to_proto(self._catalogue.on_sale(request.product_code, datetime.now(UTC)))
        except ProductNotAvailable as error:
            raise ResourceNotFound(resource="product") from error


def product_to_proto(product: Product) -> pb.Product:
    """A version of a product, without what its prices are made of."""
    until = product.on_sale_until
    return pb.Product(
        product_code=product.code,
        version=product.version,
        display_name=product.display_name,
        description=product.description,
        currency_code=product.currency,
        time_zone=product.time_zone,
        on_sale_from_date=values.date_to_proto(product.on_sale_from),
        on_sale_until_date=values.date_to_proto(until) if until else None,
        coverages=[_coverage_offer_to_proto(offer, product.currency) for offer in product.coverages],
        questions=[_question_to_proto(question) for question in product.questions],
        installment_plans=[
            pb.InstallmentPlanOffer(plan_code=plan.code, display_name=plan.display_name, installments=plan.installments)
            for plan in product.plans
        ],
    )


def _coverage_offer_to_proto(offer: CoverageOffer, currency: str) -> pb.CoverageOffer:
    return pb.CoverageOffer(
        coverage_code=offer.code,
        display_name=offer.display_name,
        mandatory=offer.mandatory,
        limits=[_amount_to_proto(amount, currency) for amount in offer.limits],
        deductibles=[_amount_to_proto(amount, currency) for amount in offer.deductibles],
    )


def _question_to_proto(question: Question) -> pb.Question:
    return pb.Question(
        question_code=question.code,
        text=question.text,
        type=_TYPES[question.type],
        minimum=question.minimum or 0,
        maximum=question.maximum or 0,
        choices=question.choices,
    )


def _amount_to_proto(amount: Decimal, currency: str) -> money_pb2.Money:
    return values.money_to_proto(Money.parse(str(amount), currency))
