"""Products as the contract carries them."""

from __future__ import annotations

from decimal import Decimal

from google.type import money_pb2

from bazaruto.quotes.v1 import product_pb2 as pb
from libs.money import Money
from libs.rpc import values
from services.quotes.catalogue.rules.product import CoverageOffer, Product, Question

_TYPES = {
    "integer": pb.Question.TYPE_INTEGER,
    "boolean": pb.Question.TYPE_BOOLEAN,
    "choice": pb.Question.TYPE_CHOICE,
}


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
