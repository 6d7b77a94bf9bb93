"""Sales of product versions: on which days each version is sold, and which one is taken for new business.

On any day one version of a product is sold: of the sales that have begun, the one that began last. A sale without a
last day ends where the next one begins, and one with a last day keeps its days for itself. When the sale that began
last is over, nothing is sold: what it took the place of does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from libs.errors import AlreadyExists, FieldInvalid, Refused
from services.quotes.catalogue.rules.product import Product


class VersionTaken(AlreadyExists):
    """The version of the product exists already."""

    reason = "VERSION_TAKEN"


class SaleOverlap(Refused):
    """Another version of the product is sold on the same days."""

    reason = "SALE_OVERLAP"


@dataclass(frozen=True, slots=True)
class Sale:
    """The days on which a version is sold, where the product is sold."""

    version: int
    starts_on: date
    ends_on: date | None = None
    """First day without new business; None while there is no end."""
    renew_with: int | None = None
    """The version that policies of one that was withdrawn are renewed with."""

    @property
    def has_days(self) -> bool:
        """Whether there is any day of sale; one that was withdrawn before it began has none."""
        return self.ends_on is None or self.starts_on < self.ends_on


def sold_on(sales: Iterable[Sale], day: date) -> Sale | None:
    """The sale of a day; of two that began on the same day, that of the higher version."""
    started = [sale for sale in sales if sale.starts_on <= day and sale.has_days]
    last = max(started, key=lambda sale: (sale.starts_on, sale.version), default=None)
    return last if last is not None and (last.ends_on is None or day < last.ends_on) else None


def successor_of(sales: Sequence[Sale], version: int, day: date) -> int | None:
    """The version that a term from a day is renewed with, of a policy that has `version`; None where there is none.

    One that was withdrawn by then names it, and that one may have been withdrawn too; otherwise it is the one sold.
    """
    seen = {version}
    while True:
        sale = next((sale for sale in sales if sale.version == version), None)
        is_over = sale is not None and sale.ends_on is not None and sale.ends_on <= day
        if sale is None or sale.renew_with is None or not is_over:
            break
        version = sale.renew_with
        if version in seen:
            return None
        seen.add(version)
    if len(seen) > 1:
        return version
    sold = sold_on(sales, day)
    return sold.version if sold else None


def of_file(product: Product) -> Sale:
    """The sale that a product file asks for."""
    return Sale(product.version, product.on_sale_from, product.on_sale_until)


def begin(product: Product, start_date: date | None, today: date, others: Sequence[Sale]) -> Sale:
    """The sale of a version from the day that is asked for, or else from the first day of its file that is not over.

    `FieldInvalid` for a day that is over or on which the file no longer sells it, `SaleOverlap` beside other sales.
    """
    if start_date is not None and start_date < today:
        raise FieldInvalid(violations={"start_date": f"is over: today is {today}"})
    starts_on = start_date or max(product.on_sale_from, today)
    sale = replace(of_file(product), starts_on=starts_on)
    if not sale.has_days:
        raise FieldInvalid(violations={"start_date": f"is not before {sale.ends_on}, when the file ends the sale"})
    for other in others:
        if other.has_days and _overlap(sale, other):
            raise SaleOverlap(
                f"version {other.version} is sold from {other.starts_on} until {other.ends_on or 'further notice'}",
                version=other.version,
                **{"from": other.starts_on, "until": other.ends_on or ""},
            )
    return sale


def withdraw(sale: Sale, end_date: date | None, today: date, renew_with: int | None) -> Sale:
    """The sale with its end on the day that is asked for, or today; one that ends earlier still does.

    `FieldInvalid` for a day that is over, and for a version that would follow itself.
    """
    if end_date is not None and end_date < today:
        raise FieldInvalid(violations={"end_date": f"is over: today is {today}"})
    if renew_with == sale.version:
        raise FieldInvalid(violations={"renew_with": "is the version that is withdrawn"})
    ends_on = min(end_date or today, sale.ends_on or date.max)
    return replace(sale, ends_on=ends_on, renew_with=renew_with or sale.renew_with)


def _overlap(one: Sale, other: Sale) -> bool:
    earlier, later = sorted((one, other), key=lambda sale: sale.starts_on)
    return earlier.starts_on == later.starts_on or (earlier.ends_on is not None and later.starts_on < earlier.ends_on)
