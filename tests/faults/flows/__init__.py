"""The flows that are killed at each of their crash points."""

from tests.faults.flows import arrears, changes, nights, parties, renewals
from tests.faults.flows.flow import Case, Flow

FLOWS: tuple[Flow, ...] = (*changes.FLOWS, *arrears.FLOWS, *renewals.FLOWS, *parties.FLOWS, *nights.FLOWS)

__all__ = ["FLOWS", "Case", "Flow"]
