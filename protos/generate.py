"""Turn the contracts into Python modules and one descriptor set.

Everything lands in `protos/gen`, which git ignores and nobody edits. The gateway, the reflection
service and the OpenAPI document read the descriptor set; the services import the modules.

Third-party contracts are never copied into the tree: the `google/api` and `google/type` files come
with `googleapis-common-protos`, and `buf/validate` is the descriptor that `protovalidate` carries.
"""

from __future__ import annotations

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).parent
GEN = ROOT / "gen"
WELL_KNOWN = ("any", "descriptor", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers")


def write_validate_descriptors(target: Path) -> None:
    """Write `buf/validate/validate.proto` and what it imports as a descriptor set.

    The descriptor is the one inside the installed `protovalidate`, so rules and validator never differ.
    """
    from protovalidate._gen.buf.validate import validate_pb

    descriptors = descriptor_pb2.FileDescriptorSet()
    for name in WELL_KNOWN:
        module = __import__(f"google.protobuf.{name}_pb2", fromlist=["DESCRIPTOR"])
        module.DESCRIPTOR.CopyToProto(descriptors.file.add())
    descriptors.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    target.write_bytes(descriptors.SerializeToString())


def run_protoc(*arguments: str) -> None:
    """Run the compiler that ships with grpcio-tools, and stop with its own message when it fails."""
    code = protoc.main(["protoc", *arguments])
    if code:
        raise SystemExit(code)


def main() -> None:
    """Generate modules, type stubs where their plugin is installed, and the descriptor set."""
    fresh = ROOT / "gen.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    validate = fresh / "validate.binpb"
    write_validate_descriptors(validate)
    contracts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "bazaruto").rglob("*.proto"))
    inputs = [f"-I{ROOT}", f"-I{_third_party()}", f"--descriptor_set_in={validate}"]
    outputs = [f"--python_out={fresh}", f"--grpc_python_out={fresh}"]
    plugin = Path(sys.executable).with_name("protoc-gen-mypy")
    if plugin.exists():
        outputs += [
            f"--plugin=protoc-gen-mypy={plugin}",
            f"--plugin=protoc-gen-mypy_grpc={plugin}_grpc",
            f"--mypy_out=quiet:{fresh}",
            f"--mypy_grpc_out=quiet:{fresh}",
        ]
    run_protoc(*inputs, *outputs, *contracts)
    run_protoc(*inputs, *[o for o in outputs if "grpc" not in o], "buf/validate/validate.proto")
    run_protoc(
        *inputs,
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={fresh / 'bazaruto' / 'descriptors.binpb'}",
        *contracts,
    )
    validate.unlink()
    (fresh / "bazaruto" / "py.typed").touch()
    shutil.rmtree(GEN, ignore_errors=True)
    fresh.rename(GEN)


def _third_party() -> Path:
    """The folder in which `google/api/annotations.proto` and its kin are installed."""
    return Path(str(files("google.api").joinpath("annotations.proto"))).parents[2]


if __name__ == "__main__":
    main()
