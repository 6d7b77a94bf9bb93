"""Every place where a service commits something, or asks a neighbour to, is killed by a flow, or named with why not."""

from __future__ import annotations

from collections import Counter

from tests.faults.covered import ELSEWHERE, KILLED, READS, is_elsewhere
from tests.faults.flows import FLOWS
from tests.faults.sites import all_sites

NAMES = {site.name for site in all_sites() if site.calls not in READS}
PASSED = {name for names in KILLED.values() for name in names}


def test_every_place_that_commits_or_calls_is_killed_by_a_flow_or_named_as_needing_none() -> None:
    assert {name for name in NAMES if not is_elsewhere(name)} == PASSED


def test_nothing_that_is_named_as_needing_no_flow_is_gone_or_killed_all_the_same() -> None:
    assert not [known for known in ELSEWHERE if not any(name.startswith(known) for name in NAMES)]
    assert not [name for name in PASSED if is_elsewhere(name)]


def test_what_is_named_as_only_telling_something_is_called() -> None:
    assert {site.calls for site in all_sites()} >= READS


def test_each_flow_has_a_name_of_its_own_and_those_that_are_named_exist() -> None:
    names = Counter(flow.name for flow in FLOWS)
    assert max(names.values()) == 1
    assert KILLED.keys() <= names.keys()
