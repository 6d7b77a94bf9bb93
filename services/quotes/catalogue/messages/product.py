"""Products as the contract carries them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from google.type import money_pb2

from bazaruto.quotes.v1 import product_pb2 as pb
from bazaruto.quotes.v1 import product_version_pb2 as version_pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.quotes.catalogue.rules.product import LONGEST_TEXT, CoverageOffer, ObjectType, Product, Question
from services.quotes.catalogue.rules.sale import Sale, of_file
from services.quotes.catalogue.rules.variables import places_of
from services.quotes.catalogue.rules.version import State, Version

_TYPES = {
    "integer": pb.Question.TYPE_INTEGER,
    "boolean": pb.Question.TYPE_BOOLEAN,
    "choice": pb.Question.TYPE_CHOICE,
    "text": pb.Question.TYPE_TEXT,
    "date": pb.Question.TYPE_DATE,
    "decimal": pb.Question.TYPE_DECIMAL,
    "money": pb.Question.TYPE_MONEY,
}
_STATES = {
    State.DRAFT: version_pb.ProductVersion.STATE_DRAFT,
    State.SCHEDULED: version_pb.ProductVersion.STATE_SCHEDULED,
    State.ON_SALE: version_pb.ProductVersion.STATE_ON_SALE,
    State.OFF_SALE: version_pb.ProductVersion.STATE_OFF_SALE,
}


def version_to_proto(version: Version, today: date, sales: Sequence[Sale]) -> version_pb.ProductVersion:
    """How far a version has come on a day, among all sales of the product."""
    sale = version.sale
    return version_pb.ProductVersion(
        product_code=version.code,
        version=version.number,
        state=_STATES[version.state(today, sales)],
        author_id=ids.encode("usr", version.author_id) if version.author_id else "",
        create_time=values.time_to_proto(version.created_at) if version.created_at else None,
        publisher=version.publisher,
        publish_time=values.time_to_proto(version.published_at) if version.published_at else None,
        on_sale_from_date=values.date_to_proto(sale.starts_on) if sale else None,
        on_sale_until_date=values.date_to_proto(sale.ends_on) if sale and sale.ends_on else None,
        renew_with=sale.renew_with or 0 if sale else 0,
    )


def product_to_proto(product: Product, sale: Sale | None) -> pb.Product:
    """A version of a product, without what its prices are made of, and the days on which it is sold.

    As long as nobody decided about its sale, it is shown with the days of its file.
    """
    sale = sale or of_file(product)
    until = sale.ends_on
    return pb.Product(
        product_code=product.code,
        version=product.version,
        display_name=product.display_name,
        description=product.description,
        currency_code=product.currency,
        time_zone=product.time_zone,
        on_sale_from_date=values.date_to_proto(sale.starts_on),
        on_sale_until_date=values.date_to_proto(until) if until else None,
        coverages=[_coverage_offer_to_proto(offer, product.currency) for offer in product.coverages],
        questions=[_question_to_proto(question, product.currency) for question in product.questions],
        object_types=[_object_type_to_proto(kind, product.currency) for kind in product.objects],
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
        limits=[amount_to_proto(amount, currency) for amount in offer.limits],
        deductibles=[amount_to_proto(amount, currency) for amount in offer.deductibles],
        object_code=offer.covers,
    )


def _object_type_to_proto(kind: ObjectType, currency: str) -> pb.ObjectType:
    return pb.ObjectType(
        object_code=kind.code,
        display_name=kind.display_name,
        minimum_count=kind.minimum,
        maximum_count=kind.maximum,
        fields=[_question_to_proto(question, currency) for question in kind.fields],
        identifier_code=kind.identifier,
    )


def _question_to_proto(question: Question, currency: str) -> pb.Question:
    message = pb.Question(
        question_code=question.code,
        text=question.text,
        type=_TYPES[question.type],
        choices=question.choices,
        pattern=question.pattern,
        for_rating=question.rating,
    )
    if question.type == "integer":
        message.minimum, message.maximum = int(question.minimum or 0), int(question.maximum or 0)
    elif question.type in ("decimal", "money"):
        message.least, message.most = str(question.minimum), str(question.maximum)
        message.decimal_places = places_of(question, currency)
    elif question.type == "text":
        message.max_length = question.maximum_length or LONGEST_TEXT
    return message


def amount_to_proto(amount: Decimal, currency: str) -> money_pb2.Money:
    """An amount of a product file in the currency of the product."""
    return values.money_to_proto(Money.parse(str(amount), currency))
