"""The services that payments calls: users, quotes and policies."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bazaruto.policies.v1 import delinquency_pb2 as delinquencies_pb
from bazaruto.policies.v1 import policy_pb2 as policies_pb
from bazaruto.policies.v1 import policy_pb2_grpc as policies_rpc
from bazaruto.quotes.v1 import product_pb2_grpc as products_rpc
from bazaruto.quotes.v1 import product_rules_pb2 as rules_pb
from bazaruto.users.v1 import auth_pb2 as users_pb
from bazaruto.users.v1 import auth_pb2_grpc as users_rpc
from libs import ids
from libs.identity.verification import public_key
from libs.rpc import values
from services.payments.billing.rules.delinquency import Delinquency
from services.payments.billing.rules.dunning import Action, Dunning, ProductTerms
from services.payments.billing.rules.reconciling import Written
from services.payments.ledger.rules.proof import Item

_ACTIONS = {rules_pb.DunningRule.Step.Action.Value(f"ACTION_{action.upper()}"): action for action in Action}


class Users:
    """The users service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._auth = users_rpc.AuthServiceStub(channel)

    def public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The keys that verify access tokens, by id. `NeighbourUnavailable` when users does not answer."""
        keys = self._auth.ListPublicKeys(users_pb.ListPublicKeysRequest()).keys
        return {key.kid: public_key({"kty": key.kty, "crv": key.crv, "x": key.x}) for key in keys}

    def ended_sessions(self) -> AbstractSet[UUID]:
        """The log-ins whose access tokens are refused. `NeighbourUnavailable` when users does not answer."""
        listed = self._auth.ListEndedSessions(users_pb.ListEndedSessionsRequest()).session_ids
        return {ids.decode("ses", session_id) for session_id in listed}


class Quotes:
    """The quotes service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._products = products_rpc.ProductServiceStub(channel)

    def terms_of(self, product_code: str, version: int) -> ProductTerms:
        """What a version of a product says of premium that is not paid. It never changes."""
        request = rules_pb.GetProductRulesRequest(product_code=product_code, version=version)
        rules = self._products.GetProductRules(request)
        steps = [(step.day, _ACTIONS[step.action]) for step in rules.dunning.steps]
        return ProductTerms(
            product_code,
            version,
            Dunning.of(rules.dunning.grace_days, steps) if rules.HasField("dunning") else None,
        )


class Policies:
    """The policies service."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._policies = policies_rpc.PolicyServiceStub(channel)

    def activate_policy(self, policy_id: UUID, payment_id: UUID, paid_at: datetime, term_number: int) -> None:
        """Let cover of a term begin because its first premium is paid. Repeating it changes nothing."""
        self._policies.ActivatePolicy(
            policies_pb.ActivatePolicyRequest(
                policy_id=ids.encode("pol", policy_id),
                payment_id=ids.encode("pay", payment_id),
                paid_time=values.time_to_proto(paid_at),
                term_number=term_number,
            )
        )

    def activate_settled(self, policy_id: UUID, invoice_id: UUID, paid_at: datetime, term_number: int) -> None:
        """As `activate_policy`, where credit settled the first invoice and not a payment."""
        self._policies.ActivatePolicy(
            policies_pb.ActivatePolicyRequest(
                policy_id=ids.encode("pol", policy_id),
                payment_id=ids.encode("inv", invoice_id),
                paid_time=values.time_to_proto(paid_at),
                term_number=term_number,
            )
        )

    def close_not_taken(self, policy_id: UUID, invoice_id: UUID, term_number: int) -> bool:
        """Have a policy closed whose first premium was not paid in time; False when nothing was to be closed.

        What follows for its billing comes back as a transaction of the policy. Repeating it changes nothing.
        """
        request = policies_pb.CloseNotTakenRequest(
            policy_id=ids.encode("pol", policy_id),
            invoice_id=ids.encode("inv", invoice_id),
            term_number=term_number,
        )
        return self._policies.CloseNotTaken(request).result == policies_pb.CloseNotTakenResponse.RESULT_CLOSED

    def record_delinquency(self, delinquency: Delinquency) -> None:
        """Tell how a delinquency stands. Policies takes no older version for a newer one."""
        self._policies.RecordDelinquency(
            delinquencies_pb.RecordDelinquencyRequest(
                policy_id=ids.encode("pol", delinquency.account_id), delinquency=_delinquency_to_proto(delinquency)
            )
        )

    def lapse_policy(self, delinquency: Delinquency) -> bool:
        """Have a policy lapse whose grace is over; False when there was nothing to lapse.

        What follows for its billing comes back as a transaction of the policy. Repeating it changes nothing.
        """
        request = delinquencies_pb.LapsePolicyRequest(
            policy_id=ids.encode("pol", delinquency.account_id),
            delinquency_id=ids.encode("dlq", delinquency.id),
            version=delinquency.version,
            effective_date=values.date_to_proto(delinquency.grace_ends_on) if delinquency.grace_ends_on else None,
        )
        return self._policies.LapsePolicy(request).result == delinquencies_pb.LapsePolicyResponse.RESULT_LAPSED

    def sum_written(self, after: UUID, limit: int) -> list[Written]:
        """What policies behind an id cost, in the order of their ids; fewer than the limit where there are no more."""
        request = policies_pb.SumWrittenPremiumsRequest(
            after_policy_id=ids.encode("pol", after) if after.int else "", limit=limit
        )
        return [written_from_proto(policy) for policy in self._policies.SumWrittenPremiums(request).policies]


def _delinquency_to_proto(delinquency: Delinquency) -> delinquencies_pb.Delinquency:
    ends_on = delinquency.grace_ends_on
    return delinquencies_pb.Delinquency(
        delinquency_id=ids.encode("dlq", delinquency.id),
        version=delinquency.version,
        state=delinquencies_pb.Delinquency.State.Value(
            "STATE_SUSPENDED" if delinquency.suspension else f"STATE_{delinquency.state.upper()}"
        ),
        past_due_amount=values.money_to_proto(delinquency.amount),
        since_date=values.date_to_proto(delinquency.due_on),
        grace_end_date=values.date_to_proto(ends_on) if ends_on else None,
    )


def written_from_proto(policy: policies_pb.WrittenPremium) -> Written:
    """What policies says of a policy. `FieldInvalid` and `AmountInvalid` for what is none."""
    policy_id = ids.decode("pol", policy.policy_id)
    if not policy.billing_sequence:
        return Written(policy_id, 0, values.time_from_proto(policy.issue_time), {})
    amounts = {
        Item.PREMIUM: policy.premium,
        Item.RETENTION: policy.retention,
        Item.TAX: policy.tax,
        Item.FEES: policy.fees,
    }
    return Written(
        policy_id,
        policy.billing_sequence,
        values.time_from_proto(policy.issue_time),
        {item: values.money_from_proto(amount).minor for item, amount in amounts.items()},
    )
