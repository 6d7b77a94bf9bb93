"""The calls of `ProductService`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import grpc

from bazaruto.quotes.v1 import product_pb2 as pb
from bazaruto.quotes.v1 import product_pb2_grpc as rpc_pb
from bazaruto.quotes.v1 import product_rules_pb2 as rules_pb
from bazaruto.quotes.v1 import product_version_pb2 as version_pb
from libs import audit, clock, ids
from libs.db import Database
from libs.errors import FourEyes, ResourceNotFound
from libs.identity.callers import AccessDenied
from libs.rpc import calls, idempotency, values
from libs.rpc.pages import Page, sequence_number
from services.quotes.catalogue.adapters.reading import read
from services.quotes.catalogue.adapters.source import dump, parse, read_source
from services.quotes.catalogue.flows import drafting, publishing
from services.quotes.catalogue.flows.offering import Catalogue
from services.quotes.catalogue.messages.product import product_to_proto, version_to_proto
from services.quotes.catalogue.messages.rules import rules_to_proto
from services.quotes.catalogue.rules import sale
from services.quotes.catalogue.rules.product import Product, ProductNotAvailable
from services.quotes.catalogue.rules.version import Version
from services.quotes.catalogue.store import drafts, products, sales, versions


class ProductServicer(rpc_pb.ProductServiceServicer):
    """Answers the calls of `ProductService`."""

    def __init__(self, database: Database, catalogue: Catalogue, check_golden_risks: Callable[[Product], None]) -> None:
        """`check_golden_risks` refuses a version with a golden risk that has another price than its file says."""
        self._database = database
        self._catalogue = catalogue
        self._check_golden_risks = check_golden_risks

    def ListProducts(self, request: pb.ListProductsRequest, context: grpc.ServicerContext) -> pb.ListProductsResponse:
        page = Page.of(request, "products")
        on_sale = [item for item in self._catalogue.all_on_sale(clock.now()) if item.code > page.after]
        shown, token = page.cut(on_sale, key=lambda item: item.code)
        return pb.ListProductsResponse(products=[self._to_proto(item) for item in shown], next_page_token=token)

    def GetProduct(self, request: pb.GetProductRequest, context: grpc.ServicerContext) -> pb.Product:
        if request.version:
            product = self._catalogue.version(request.product_code, request.version)
            if product is None:
                raise ResourceNotFound(resource="product")
            return self._to_proto(product)
        try:
            return self._to_proto(self._catalogue.on_sale(request.product_code, clock.now()))
        except ProductNotAvailable as error:
            raise ResourceNotFound(resource="product") from error

    def ValidateProduct(
        self, request: version_pb.ValidateProductRequest, context: grpc.ServicerContext
    ) -> version_pb.ValidateProductResponse:
        product = read_source(parse(request.definition))
        return version_pb.ValidateProductResponse(product_code=product.code, version=product.version)

    def CreateProductVersion(
        self, request: version_pb.CreateProductVersionRequest, context: grpc.ServicerContext
    ) -> version_pb.ProductVersion:
        draft = drafting.draft(request.product_code, parse(request.definition), _user_id(), clock.now())
        with self._database.transaction() as session:
            idempotency.claim(session)
            drafting.keep(session, draft)
            audit.record(session, "product_version_created", f"{draft.code}/{draft.version}")
            version = Version(draft.code, draft.version, draft.author_id, draft.created_at)
            reply = version_to_proto(version, draft.created_at.date(), ())
            idempotency.keep(session, reply)
        return reply

    def ListProductVersions(
        self, request: version_pb.ListProductVersionsRequest, context: grpc.ServicerContext
    ) -> version_pb.ListProductVersionsResponse:
        code = request.product_code
        page = Page.of(request, "product_versions", calls.caller().subject, code)
        now = clock.now()
        with self._database.transaction() as session:
            rows = versions.list_by_product(session, code, page.after_as(sequence_number), page.fetch)
            of_product = sales.list_by_product(session, code)
        shown, token = page.cut(rows, key=lambda item: item.number)
        return version_pb.ListProductVersionsResponse(
            versions=[version_to_proto(item, item.today(now), of_product) for item in shown], next_page_token=token
        )

    def GetProductDefinition(
        self, request: version_pb.GetProductDefinitionRequest, context: grpc.ServicerContext
    ) -> version_pb.ProductDefinition:
        code, number = request.product_code, request.version
        with self._database.reading() as session:
            draft = drafts.find(session, code, number)
            document = None if draft else products.find(session, code, number)
        if draft is None and document is None:
            raise ResourceNotFound(resource="product_version")
        definition = draft.source if draft else dump(document or {})
        return version_pb.ProductDefinition(product_code=code, version=number, definition=definition)

    def PublishProductVersion(
        self, request: version_pb.PublishProductVersionRequest, context: grpc.ServicerContext
    ) -> version_pb.ProductVersion:
        code, number = request.product_code, request.version
        starts_on = values.optional(request, "start_date")
        first_day = values.date_from_proto(starts_on, "start_date") if starts_on else None
        with self._database.transaction() as session:
            idempotency.claim(session)
            others = sales.lock(session, code)
            version = _known(versions.find(session, code, number))
            draft = drafts.find(session, code, number)
            if version.sale is not None or draft is None:
                raise sale.VersionTaken(f"version {number} of {code} is published already")
            if draft.author_id == _user_id():
                raise FourEyes(by=ids.encode("usr", draft.author_id))
            product, now = read(draft.document), clock.now()
            new_sale = sale.begin(product, first_day, product.today(now), others)
            self._check_golden_risks(product)
            if not request.validate_only:
                publishing.publish_draft(session, draft, new_sale, calls.caller().subject, now)
            version = replace(version, publisher=calls.caller().subject, published_at=now, sale=new_sale)
            reply = version_to_proto(version, product.today(now), [*others, new_sale])
            idempotency.keep(session, reply)
        if not request.validate_only:
            self._catalogue.look()
        return reply

    def WithdrawProductVersion(
        self, request: version_pb.WithdrawProductVersionRequest, context: grpc.ServicerContext
    ) -> version_pb.ProductVersion:
        code, number = request.product_code, request.version
        ends_on = values.optional(request, "end_date")
        end_date = values.date_from_proto(ends_on, "end_date") if ends_on else None
        with self._database.transaction() as session:
            idempotency.claim(session)
            of_product = {item.version: item for item in sales.lock(session, code)}
            version = _known(versions.find(session, code, number))
            if version.sale is None or (request.renew_with and request.renew_with not in of_product):
                raise ResourceNotFound(resource="product_version")
            now = clock.now()
            ended = sale.withdraw(version.sale, end_date, version.today(now), request.renew_with or None)
            publishing.withdraw(session, code, version.sale, ended, calls.caller().subject, now)
            of_product[number] = ended
            reply = version_to_proto(replace(version, sale=ended), version.today(now), [*of_product.values()])
            idempotency.keep(session, reply)
        self._catalogue.look()
        return reply

    def GetProductRules(
        self, request: rules_pb.GetProductRulesRequest, context: grpc.ServicerContext
    ) -> rules_pb.ProductRules:
        product = self._catalogue.version(request.product_code, request.version)
        if product is None:
            raise ResourceNotFound(resource="product_version")
        return rules_to_proto(product)

    def _to_proto(self, product: Product) -> pb.Product:
        return product_to_proto(product, self._catalogue.sale_of(product))


def _known(version: Version | None) -> Version:
    if version is None:
        raise ResourceNotFound(resource="product_version")
    return version


def _user_id() -> UUID:
    user_id = calls.caller().user_id
    if user_id is None:
        raise AccessDenied("a version is made and published by a person, and no user calls")
    return user_id
