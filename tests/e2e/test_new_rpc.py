"""Adding an RPC takes four files: the contract, the store, the servicer and a test (this one).

The change is made to a copy of the tree, and the new method is called over HTTP. Gateway, mains and interceptors
of the copy are not touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.buyer import Buyer
from tests.support.platform import Platform, running_platform

pytestmark = pytest.mark.xdist_group("platform")

ROOT = Path(__file__).parents[2]

CONTRACT = """
  // Count the caller's policies.
  rpc CountPolicies(CountPoliciesRequest) returns (CountPoliciesResponse) {
    option (google.api.http) = {get: "/v1/policies:count"};
    option (bazaruto.options.v1.access) = {audience: AUDIENCE_AUTHENTICATED};
  }
}

// Request of CountPolicies.
message CountPoliciesRequest {
  // Only policies of this product; empty means all.
  string product_code = 1 [(buf.validate.field).string.max_len = 50];
}

// Response of CountPolicies.
message CountPoliciesResponse {
  // How many there are.
  int32 count = 1;
}

// A contract of insurance as of a moment"""

STORE = '''

def count(session: Session, scope: Scope, product_code: str) -> int:
    """How many policies a scope has, of one product or of all."""
    return len(list_of(session, scope, Filter(product_code=product_code), sa.true(), None, 1000))
'''

SERVICER = """
    def CountPolicies(
        self, request: pb.CountPoliciesRequest, context: grpc.ServicerContext
    ) -> pb.CountPoliciesResponse:
        with self._database.reading() as session:
            count = policies.count(session, calls.scope(), request.product_code)
        return pb.CountPoliciesResponse(count=count)

    def ListPolicies("""


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs a copy of the tree with one RPC more."""
    copy = tmp_path_factory.mktemp("tree")
    _copy_tree(copy)
    contract = copy / "protos/bazaruto/policies/v1/policy.proto"
    _edit(contract, "}\n\n// A contract of insurance as of a moment", CONTRACT)
    _edit(copy / "services/policies/lifecycle/servicer/policies.py", "\n    def ListPolicies(", SERVICER)
    store = copy / "services/policies/lifecycle/store/policies.py"
    store.write_text(store.read_text() + STORE)
    subprocess.run([sys.executable, "protos/generate.py"], cwd=copy, check=True, timeout=120)
    path = os.pathsep.join([str(copy), str(copy / "protos/gen")])
    with running_platform(code=copy, PYTHONPATH=path) as running:
        yield running


def test_new_rpc_is_served_over_http_without_touching_the_gateway(changed: Platform) -> None:
    with httpx.Client(base_url=changed.url, timeout=30) as http:
        buyer = Buyer(http)
        buyer.sign_up()
        for _ in range(2):
            buyer.issue()
        assert buyer.call("GET", "/v1/policies:count") == {"count": 2}
        assert buyer.call("GET", "/v1/policies:count?productCode=home") == {"count": 0}
        assert http.get("/v1/policies:count").status_code == 401
        assert "/v1/policies:count" in http.get("/openapi.json").json()["paths"]


def _copy_tree(target: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
