"""Profiles in pprof's format."""

from __future__ import annotations

import asyncio
import gzip
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from grpc_tools import protoc
from protobuf.wkt import FileDescriptorSet

from gateway.http import problems
from gateway.http.exchange import Request, Response
from gateway.http.problems import Problem
from gateway.pages import profiling
from libs import pprof

# The part of github.com/google/pprof/proto/profile.proto that is written.
PROTO = """
syntax = "proto3";
package perftools.profiles;
message Profile {
  repeated ValueType sample_type = 1;
  repeated Sample sample = 2;
  repeated Location location = 4;
  repeated Function function = 5;
  repeated string string_table = 6;
  int64 time_nanos = 9;
  int64 duration_nanos = 10;
  ValueType period_type = 11;
  int64 period = 12;
}
message ValueType { int64 type = 1; int64 unit = 2; }
message Sample { repeated uint64 location_id = 1; repeated int64 value = 2; }
message Location { uint64 id = 1; repeated Line line = 4; }
message Line { uint64 function_id = 1; int64 line = 2; }
message Function { uint64 id = 1; int64 name = 2; int64 system_name = 3; int64 filename = 4; }
"""


@cache
def profile_type() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "profile.proto").write_text(PROTO)
        target = Path(folder, "set.binpb")
        assert protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={target}", "profile.proto"]) == 0
        message = FileDescriptorSet.from_binary(target.read_bytes()).to_registry().message("perftools.profiles.Profile")
    assert message is not None
    return message.type


def request(path: str, query: str = "", peer: str = "127.0.0.1", *headers: tuple[bytes, bytes]) -> Request:
    scope: dict[str, Any] = {
        "method": "GET",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "scheme": "http",
        "http_version": "1.1",
        "client": (peer, 1),
        "headers": headers,
    }
    return Request(scope)


async def admit(authorization: str) -> None:
    """Admit one administrator."""
    if authorization != "Bearer admin":
        raise problems.made(403, "PERMISSION_DENIED", "ACCESS_DENIED", "This is for administrators.")


def ask(asked: Request) -> Response:
    async def run() -> Response:
        return await profiling.build(admit)[asked.path](asked)

    return asyncio.run(run())


def names(response: Response) -> set[str]:
    """The functions that a profile names, after checking that every id in it leads somewhere."""
    profile = profile_type().from_binary(gzip.decompress(response.body))
    assert profile.string_table[0] == ""
    functions = {one.id: profile.string_table[one.name] for one in profile.function}
    locations = {one.id: functions[one.line[0].function_id] for one in profile.location}
    for sample in profile.sample:
        assert len(sample.value) == len(profile.sample_type)
        assert all(number in locations for number in sample.location_id)
    return set(locations.values())


def test_a_profile_holds_stacks_types_and_values() -> None:
    stack = (("inner", "a.py", 3), ("outer", "a.py", 300))
    raw = pprof.encode([("samples", "count"), ("cpu", "nanoseconds")], [(stack, (2, 20_000_000))], 5, 7)
    profile = profile_type().from_binary(raw)
    kinds = [(profile.string_table[one.type], profile.string_table[one.unit]) for one in profile.sample_type]
    assert kinds == [("samples", "count"), ("cpu", "nanoseconds")]
    assert list(profile.sample[0].value) == [2, 20_000_000]
    assert [one.line[0].line for one in profile.location] == [3, 300]
    assert (profile.duration_nanos, profile.period) == (5, 7)
    period_type = (profile.string_table[profile.period_type.type], profile.string_table[profile.period_type.unit])
    assert period_type == ("cpu", "nanoseconds")
    assert [profile.string_table[one.filename] for one in profile.function] == ["a.py", "a.py"]


def test_a_file_whose_path_is_no_text_is_named_as_far_as_it_can_be() -> None:
    path = os.fsdecode(b"caf\xe9.py")
    raw = pprof.encode([("samples", "count")], [((("", path, 1),), (1,))], 5, 7)
    profile = profile_type().from_binary(raw)
    assert profile.string_table[profile.function[0].name] == "caf?.py"


def test_a_profile_of_time_names_what_runs() -> None:
    assert any(
        "sample" in name or "run" in name for name in names(ask(request("/debug/pprof/profile", "seconds=0.05")))
    )


def test_a_profile_of_memory_names_what_was_allocated() -> None:
    held: list[bytes] = []

    async def run() -> Response:
        async def planted() -> None:
            await asyncio.sleep(0.01)
            held.append(b"x" * 5_000_000)

        allocating = asyncio.create_task(planted())
        asked = request("/debug/pprof/heap", "seconds=0.05")
        response = await profiling.build(admit)[asked.path](asked)
        await allocating
        return response

    response = asyncio.run(run())
    profile = profile_type().from_binary(gzip.decompress(response.body))
    assert max(sample.value[1] for sample in profile.sample) >= 5_000_000
    assert any(name.endswith("planted") for name in names(response))


def test_a_task_that_waits_is_seen() -> None:
    async def run() -> tuple[Response, Response]:
        async def left_behind() -> None:
            await asyncio.sleep(60)

        task = asyncio.create_task(left_behind())
        await asyncio.sleep(0)
        pages = profiling.build(admit)
        responses = [
            await pages["/debug/pprof/goroutine"](request("/debug/pprof/goroutine", q)) for q in ("", "debug=1")
        ]
        task.cancel()
        return responses[0], responses[1]

    binary, text = asyncio.run(run())
    assert any(name.endswith("left_behind") for name in names(binary))
    assert b"left_behind" in text.body


@pytest.mark.parametrize(
    "asked",
    [
        request("/debug/pprof/", "", "10.0.0.1"),
        request("/debug/pprof/", "", ""),
        request("/debug/pprof/", "", "127.0.0.1", (b"x-forwarded-for", b"203.0.113.1")),
    ],
)
def test_nobody_else_is_told_that_there_are_profiles(asked: Request) -> None:
    with pytest.raises(Problem) as caught:
        ask(asked)
    assert caught.value.status == 404


def test_administrator_elsewhere_gets_a_profile_and_nobody_else_does() -> None:
    allowed = request("/debug/pprof/goroutine", "", "10.0.0.1", (b"authorization", b"Bearer admin"))
    assert ask(allowed).status == 200
    with pytest.raises(Problem) as caught:
        ask(request("/debug/pprof/goroutine", "", "10.0.0.1", (b"authorization", b"Bearer customer")))
    assert caught.value.status == 403


@pytest.mark.parametrize("query", ["seconds=x", "seconds=-1", "seconds=61", "seconds=nan"])
def test_a_profile_takes_a_bounded_time(query: str) -> None:
    with pytest.raises(Problem) as caught:
        ask(request("/debug/pprof/profile", query))
    assert caught.value.status == 400
