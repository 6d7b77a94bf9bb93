"""The calls about those who are paid when a life ends."""

from __future__ import annotations

import grpc

from bazaruto.policies.v1 import beneficiary_pb2
from libs import clock, ids
from libs.rpc import calls, idempotency
from services.policies.lifecycle.flows import naming
from services.policies.lifecycle.messages.beneficiaries import beneficiaries_from_proto, beneficiaries_to_proto
from services.policies.lifecycle.rules.beneficiary import Beneficiaries
from services.policies.lifecycle.servicer.changing import Changing
from services.policies.lifecycle.store import beneficiaries, policies

_HISTORY = 100  # how often beneficiaries were set before, as far as it is shown


class BeneficiaryCalls(Changing):
    """Naming beneficiaries, and reading them."""

    def SetBeneficiaries(
        self, request: beneficiary_pb2.SetBeneficiariesRequest, context: grpc.ServicerContext
    ) -> beneficiary_pb2.Beneficiaries:
        policy_id = ids.decode("pol", request.policy_id)
        members = beneficiaries_from_proto(request.beneficiaries)
        with self._database.transaction() as session:
            idempotency.claim(session)
            contract = calls.owned(policies.lock(session, policy_id), "policy")
            current = beneficiaries.find(session, policy_id)
            calls.current().check_etag(current.etag)
            named = naming.set_beneficiaries(session, contract, current, members, calls.caller().subject, clock.now())
            reply = beneficiaries_to_proto(named)
            idempotency.keep(session, reply)
            return reply

    def ListBeneficiaries(
        self, request: beneficiary_pb2.ListBeneficiariesRequest, context: grpc.ServicerContext
    ) -> beneficiary_pb2.ListBeneficiariesResponse:
        policy_id = ids.decode("pol", request.policy_id)
        self._visible(policy_id)
        with self._database.reading() as session:
            current, *history = beneficiaries.list_sets(session, policy_id, _HISTORY + 1) or [Beneficiaries()]
        return beneficiary_pb2.ListBeneficiariesResponse(
            current=beneficiaries_to_proto(current), history=[beneficiaries_to_proto(named) for named in history]
        )
