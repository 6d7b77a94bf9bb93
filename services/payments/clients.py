"""The service that payments calls: policies."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import grpc

from bazaruto.policies.v1 import policy_pb2 as policies_pb
from bazaruto.policies.v1 import policy_pb2_grpc as policies_rpc
from libs import ids
from libs.rpc import values


class Policies:
    """The policies service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._policies = policies_rpc.PolicyServiceStub(channel)

    def activate_policy(self, policy_id: UUID, payment_id: UUID, paid_at: datetime) -> None:
        """Put a policy in force because its first premium is paid. Repeating it changes nothing."""
        self._policies.ActivatePolicy(
            policies_pb.ActivatePolicyRequest(
                policy_id=ids.encode("pol", policy_id),
                payment_id=ids.encode("pay", payment_id),
                paid_time=values.time_to_proto(paid_at),
            )
        )
