"""Checking golden risks as far as the product alone can: whether they name what it has. Publishing prices them."""

from __future__ import annotations

from services.quotes.catalogue.rules.checking.problems import Problems, is_amount
from services.quotes.catalogue.rules.product import Product


def problems_of(product: Product) -> Problems:
    """What is wrong with golden risks."""
    questions = {question.code for question in product.questions}
    fields = {kind.code: {question.code for question in kind.fields} for kind in product.objects}
    offered = {offer.code for offer in product.coverages}
    names = [risk.name for risk in product.golden_risks]
    for index, risk in enumerate(product.golden_risks):
        key = f"golden_risks[{index}]"
        if not risk.name or risk.name in names[:index]:
            yield f"{key}.name", f"{risk.name!r} is there twice, or empty"
        for code in sorted(questions ^ risk.answers.keys()):
            yield f"{key}.answers.{code}", "has no answer" if code in questions else "is not a question of the product"
        for number, insured in enumerate(risk.objects):
            known = fields.get(insured.code)
            if known is None:
                yield f"{key}.objects[{number}].code", f"{insured.code!r} is not a kind of object of the product"
                continue
            for code in sorted(known ^ insured.fields.keys()):
                text = "is missing" if code in known else f"is not a field of {insured.code!r}"
                yield f"{key}.objects[{number}].fields.{code}", text
        for number, coverage in enumerate(risk.coverages):
            if coverage.code not in offered:
                yield f"{key}.coverages[{number}].code", f"{coverage.code!r} is not a coverage of the product"
        if not is_amount(risk.expected_total, product):
            yield f"{key}.expected_total", f"must be an amount in {product.currency}"
