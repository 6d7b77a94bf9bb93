"""The memory of a users process stays where it is: what is made for a request is gone with it, what is kept is reused.

Labels of metrics, prepared statements, verified tokens and users who were read are made once and used again; a leak of
a kilobyte a request would be ten megabytes here.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import psutil
import pytest

from bazaruto.users.v1 import auth_pb2, auth_pb2_grpc, user_pb2, user_pb2_grpc
from tests.integration.users.house import PASSWORD, bearer
from tests.integration.users.test_processes import environment, running

__all__ = ["environment"]  # a fixture
pytestmark = pytest.mark.xdist_group("users-memory")

_WARM_UP, _MEASURED, _CALLERS = 4_000, 10_000, 4


def test_ten_thousand_reads_do_not_grow_the_process(environment: dict[str, str]) -> None:
    environment = {**environment, "BAZARUTO_LOG_LEVEL": "error"}
    target = json.loads(environment["BAZARUTO_SERVICES"])["users"]["listen"]
    with running("serve", environment) as process, grpc.insecure_channel(target) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        users, auth = user_pb2_grpc.UserServiceStub(channel), auth_pb2_grpc.AuthServiceStub(channel)
        account = user_pb2.RegisterUserRequest(email="ana@example.com", password=PASSWORD, full_name="Ana Sitoe")
        users.RegisterUser(account)
        tokens = auth.LogIn(auth_pb2.LogInRequest(email=account.email, password=PASSWORD))
        metadata = (("authorization", bearer(tokens)),)
        request = user_pb2.GetUserRequest(user_id="me")

        def read(times: int) -> None:
            for _ in range(times):
                users.GetUser(request, metadata=metadata)

        def settled(times: int) -> int:
            """Resident bytes after so many reads."""
            with ThreadPoolExecutor(_CALLERS) as pool:
                list(pool.map(read, [times // _CALLERS] * _CALLERS))
            time.sleep(0.5)
            return int(psutil.Process(process.pid).memory_info().rss)

        before = settled(_WARM_UP)
        after = settled(_MEASURED)
        assert after <= before * 1.05, f"{before / 2**20:.1f} MiB became {after / 2**20:.1f} MiB"
