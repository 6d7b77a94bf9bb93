"""Quotes for policies as the contract carries them, and as the domain knows them."""

from __future__ import annotations

from bazaruto.quotes.v1 import quote_pb2 as pb
from libs import ids
from libs.rpc import values
from services.quotes.quoting.messages.quotes import QUOTE_KINDS
from services.quotes.quoting.rules.policy_quote import Stretch, Subject

_KINDS = {proto: kind for kind, proto in QUOTE_KINDS.items()}


def subject_from_proto(request: pb.CreatePolicyQuoteRequest) -> Subject:
    """The policy that is quoted for, and why."""
    return Subject(_KINDS[request.kind], ids.decode("pol", request.policy_id), request.timeline_sequence)


def stretch_from_proto(segment: pb.PolicyQuoteSegment, field: str) -> Stretch:
    """Some days of a term; `field` is where the message stands."""
    return Stretch(
        starts_on=values.date_from_proto(segment.start_date, f"{field}.start_date"),
        ends_on=values.date_from_proto(segment.end_date, f"{field}.end_date"),
        answers=dict(segment.answers.items()),
        coverages=[values.coverage_from_proto(coverage) for coverage in segment.coverages],
        objects=[values.insured_object_from_proto(insured) for insured in segment.objects],
        is_changed=not segment.unchanged,
        product_version=segment.product_version,
        term_starts_on=values.date_from_proto(segment.term_start_date, f"{field}.term_start_date")
        if segment.HasField("term_start_date")
        else None,
        quote_id=ids.decode("quo", segment.quote_id, f"{field}.quote_id") if segment.quote_id else None,
        added={
            name: values.date_from_proto(day, f"{field}.added_dates[{name}]")
            for name, day in segment.added_dates.items()
        },
    )
