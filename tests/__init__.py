"""The tests of the platform: unit, integration, e2e, faults, deploy, ops and performance."""

import os

# The tests start programs while gRPC runs in the same process; its handlers of a fork would close files of theirs.
# Here, because gRPC looks when it is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
