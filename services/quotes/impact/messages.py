"""Rate changes as the contract carries them."""

from __future__ import annotations

from google.type import money_pb2

from bazaruto.quotes.v1 import quote_pb2
from bazaruto.quotes.v1 import rate_change_pb2 as pb
from libs import ids
from libs.money import Money
from libs.rpc import values
from services.quotes.impact.rules.impact import Change, ends_of
from services.quotes.impact.rules.rate_change import RateChange
from services.quotes.quoting.rules.underwriting import Outcome

_DECISIONS = {
    Outcome.APPROVED: quote_pb2.UNDERWRITING_DECISION_APPROVED,
    Outcome.REFERRED: quote_pb2.UNDERWRITING_DECISION_REFERRED,
    Outcome.DECLINED: quote_pb2.UNDERWRITING_DECISION_DECLINED,
}


def rate_change_to_proto(rate_change: RateChange) -> pb.RateChange:
    """An analysis with what was found by now."""
    impact = rate_change.impact

    def money(minor: int) -> money_pb2.Money:
        return values.money_to_proto(Money(minor, rate_change.currency))

    def change_to_proto(change: Change) -> pb.RateChange.QuoteChange:
        return pb.RateChange.QuoteChange(
            quote_id=ids.encode("quo", change.quote_id),
            quote_number=change.number,
            old_total=money(change.old),
            new_total=money(change.new),
        )

    return pb.RateChange(
        rate_change_id=ids.encode("rch", rate_change.id),
        product_code=rate_change.product_code,
        version=rate_change.version,
        only_bound=rate_change.only_bound,
        state=pb.RateChange.STATE_DONE if rate_change.is_done else pb.RateChange.STATE_RUNNING,
        author_id=ids.encode("usr", rate_change.author_id),
        create_time=values.time_to_proto(rate_change.created_at),
        finish_time=values.time_to_proto(rate_change.finished_at) if rate_change.finished_at else None,
        quotes=rate_change.total,
        quotes_done=rate_change.done,
        old_total=money(impact.old_total),
        new_total=money(impact.new_total),
        buckets=[_bucket_to_proto(bucket, count) for bucket, count in sorted(impact.buckets.items())],
        factors=[
            pb.RateChange.Factor(
                name=name, quotes=factor.risks, old_amount=money(factor.old), new_amount=money(factor.new)
            )
            for name, factor in impact.factors.items()
        ],
        largest_increases=[change_to_proto(change) for change in impact.increases],
        largest_decreases=[change_to_proto(change) for change in impact.decreases],
        decisions=[
            pb.RateChange.DecisionChange(before=_DECISIONS[before], after=_DECISIONS[after], quotes=count)
            for (before, after), count in sorted(impact.decisions.items())
        ],
        rules=[
            pb.RateChange.RuleCount(rule_code=code, decision=_DECISIONS[outcome], quotes=count)
            for (code, outcome), count in impact.rules.most_common()
        ],
        unrated=[
            pb.RateChange.Unrated(reason=cause.reason, about=cause.about, quotes=count)
            for cause, count in impact.unrated.most_common()
        ],
    )


def _bucket_to_proto(bucket: int, count: int) -> pb.RateChange.Bucket:
    near, far = ends_of(bucket)
    return pb.RateChange.Bucket(from_percent=near, to_percent=far, quotes=count)
