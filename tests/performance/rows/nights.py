"""Nightly runs over a whole book of policies, against a tenth of it: what `nightly` measures, at the size of a book."""

from __future__ import annotations

from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.performance.rows import nightly


def measure(bench: Bench) -> list[Figure]:
    """Each run over all policies."""
    return nightly.compared(bench, [*nightly.NIGHTS, nightly.OFFERS], bench.effort.book)
