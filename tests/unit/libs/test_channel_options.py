"""gRPC takes options by name and says nothing of a name that it does not know."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from libs.rpc import connection, server

_SPEC = find_spec("grpc._cython.cygrpc")
assert _SPEC
assert _SPEC.origin
_LIBRARY = Path(_SPEC.origin).read_bytes()
NAMES = sorted({name for name, _ in (*server._OPTIONS, *connection.options([{}]))})


@pytest.mark.parametrize("name", NAMES)
def test_library_knows_the_option(name: str) -> None:
    assert name.encode() in _LIBRARY
