"""What happens to every call around the servicer, outermost first: telemetry, errors, deadline, caller, access,
validation, idempotency.

The steps are composed once for each method, at start: on the hot path a step is one function call, and nothing of
the contract is looked up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import structlog
from opentelemetry.trace import Span, StatusCode
from prometheus_client import Histogram
from protovalidate import Validator

from libs.errors import DomainError, FieldInvalid, TooLate
from libs.identity.callers import AccessDenied, TokenInvalid
from libs.identity.verification import TokenVerifier
from libs.rpc import access, calls, errors, idempotency, wellformed
from libs.rpc.calls import Call
from libs.rpc.methods import Method
from libs.rpc.page_tokens import PageTokens
from libs.telemetry import metrics, traces

log = structlog.get_logger("rpc")

Step = Callable[[Any, Call], Any]
"""Takes the request, returns the reply, or for a stream an iterator of replies."""
Servicer = Callable[[Any, grpc.ServicerContext], Any]

ON_BEHALF_OF = "x-on-behalf-of"  # beside a service's token, that of the user whose call it answers
_WORKER = "-worker"  # what the name of a service ends with in tokens of its workers

_SHAVE = 0.02  # seconds kept back, so that a useful error still reaches the caller
_LEAST = 0.1  # seconds; with less left than this, work is not begun
_TOO_LATE_TO_REPEAT = 0.5  # seconds; what failed with less left than this would only run out of time
_NO_DEADLINE = 86_400.0  # seconds; the library tells a call without deadline as one of a very long time
_NOT_AGAIN = ("grpc-retry-pushback-ms", "-1")  # asks the caller's channel not to repeat the call by itself


class DeadlineTooShort(TooLate):
    """The deadline of the call leaves too little time to begin the work."""

    reason = "DEADLINE_TOO_SHORT"


class Chain:
    """Builds what the library calls for a method out of what the servicer offers."""

    def __init__(self, verifier: TokenVerifier, page_tokens: PageTokens, keys: idempotency.Keys) -> None:
        self._verifier = verifier
        self._page_tokens = page_tokens
        self._keys = keys
        self._validator = Validator()
        self.denied: Callable[[Call], None] | None = None
        """Told of callers whom the contract does not admit."""

    def unary(self, method: Method, servicer: Servicer) -> Servicer:
        """The whole chain around a method with one reply."""
        step = self._steps(method, servicer)
        finish = _Finisher(method)
        attributes = {"rpc.system.name": "grpc", "rpc.method": method.full_name}

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            started_at = time.perf_counter()
            call = self._arrived(method, context)
            with traces.ServerSpan(method.full_name, call.metadata, attributes) as span:
                try:
                    reply = step(request, call)
                except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
                    finish(call, span, started_at, error)
                else:
                    finish(call, span, started_at, None)
                    return reply

        return answer

    def stream(self, method: Method, servicer: Servicer) -> Callable[[Any, grpc.ServicerContext], Iterator[Any]]:
        """The whole chain around a method with many replies."""
        step = self._steps(method, servicer)
        finish = _Finisher(method)
        attributes = {"rpc.system.name": "grpc", "rpc.method": method.full_name}

        def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            started_at = time.perf_counter()
            call = self._arrived(method, context)
            with traces.ServerSpan(method.full_name, call.metadata, attributes) as span:
                try:
                    yield from step(request, call)
                except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
                    finish(call, span, started_at, error)
                else:
                    finish(call, span, started_at, None)

        return answer

    def _arrived(self, method: Method, context: grpc.ServicerContext) -> Call:
        """Make the call the current one of this thread."""
        left = context.time_remaining()
        seconds = method.default_seconds if left is None or left > _NO_DEADLINE else left - _SHAVE
        metadata: dict[str, str] = dict(context.invocation_metadata())  # type: ignore[arg-type]
        call = Call(method, metadata, time.monotonic() + seconds, context, self._page_tokens)
        calls.enter(call)
        return call

    def _steps(self, method: Method, servicer: Servicer) -> Step:
        def serve(request: Any, call: Call) -> Any:
            return servicer(request, call.context)

        step: Step = serve
        if method.takes_key:
            step = idempotency.step(method, self._keys, step)
        step = _validation(self._validator, step)
        step = self._reporting_denials(_access(method, step))
        step = _caller(self._verifier, method, step)
        return _deadline(step)

    def _reporting_denials(self, inner: Step) -> Step:
        def step(request: Any, call: Call) -> Any:
            try:
                return inner(request, call)
            except AccessDenied:
                if self.denied:
                    self.denied(call)
                raise

        return step


class _Finisher:
    """Ends a call: its metric, its log line, its span's status, and its error where there is one."""

    def __init__(self, method: Method) -> None:
        self._name = method.full_name
        self._durations: dict[grpc.StatusCode, Histogram] = {}

    def __call__(self, call: Call, span: Span, started_at: float, error: Exception | None) -> None:
        status = None if error is None else errors.to_status(error)
        code = grpc.StatusCode.OK if status is None else errors.code_of(status)
        seconds = time.perf_counter() - started_at
        self._duration(code).observe(seconds)
        log_fields = {"method": self._name, "code": code.name, "response_time": round(seconds * 1000, 2)}
        if call.caller.user_id or call.caller.service:
            log_fields["user_id"] = call.caller.subject
        if error is None or status is None:
            log.info("call", **log_fields)
            return
        span.set_attribute("error.type", code.name)
        if isinstance(error, DomainError):
            log.info("call refused", reason=_reason(error), **log_fields)
        else:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            log.error("call failed", exc_info=error, **log_fields)
        trailing: tuple[tuple[str, str | bytes], ...] = ((errors.STATUS_DETAILS, status.SerializeToString()),)
        if code is grpc.StatusCode.UNAVAILABLE and call.seconds_left < _TOO_LATE_TO_REPEAT:
            trailing += (_NOT_AGAIN,)
        call.context.set_trailing_metadata(trailing)
        call.context.abort(code, status.message)

    def _duration(self, code: grpc.StatusCode) -> Histogram:
        """The histogram of one outcome, kept: looking up labels costs more than observing."""
        histogram = self._durations.get(code)
        if histogram is None:
            histogram = self._durations[code] = metrics.rpc_server_duration.labels(self._name, code.name)
        return histogram


def _reason(error: DomainError) -> str:
    return error.remote_reason if isinstance(error, errors.RemoteError) else error.reason


def _deadline(inner: Step) -> Step:
    """Refuse work that cannot be done in the time that is left."""

    def step(request: Any, call: Call) -> Any:
        if call.seconds_left < _LEAST - _SHAVE:
            raise DeadlineTooShort
        return inner(request, call)

    return step


def _caller(verifier: TokenVerifier, method: Method, inner: Step) -> Step:
    """Find out who calls. A method for everybody does not mind a stale token: one logs in again with it.

    A service that calls while it answers a user shows that user's token too, and the call is the user's.
    """
    public = method.access.audience == access.PUBLIC

    def step(request: Any, call: Call) -> Any:
        call.verifier = verifier
        authorization = call.metadata.get("authorization")
        if authorization:
            try:
                shown = verifier.verify(authorization)
                user = call.metadata.get(ON_BEHALF_OF) if shown.service else None
                call.caller = verifier.verify(user) if user else shown
                call.service = shown.service
            except TokenInvalid:
                if not public:
                    raise
        return inner(request, call)

    return step


def _access(method: Method, inner: Step) -> Step:
    """Admit the callers that the contract names, and no others."""
    if method.access.audience == access.PUBLIC:
        return inner

    def authenticated(request: Any, call: Call) -> Any:
        if not (call.caller.user_id or call.caller.service):
            raise TokenInvalid("the call needs an access token")
        return inner(request, call)

    def roles(request: Any, call: Call) -> Any:
        if not call.caller.user_id:
            raise TokenInvalid("the call needs an access token")
        if method.access.roles.isdisjoint(call.caller.roles):
            raise AccessDenied
        return inner(request, call)

    def internal(request: Any, call: Call) -> Any:
        if not (call.caller.user_id or call.caller.service):
            raise TokenInvalid("the call needs an access token")
        if call.service.removesuffix(_WORKER) not in method.access.services:
            raise AccessDenied
        return inner(request, call)

    if method.access.audience == access.ROLES:
        return roles
    return internal if method.access.audience == access.INTERNAL else authenticated


def _validation(validator: Validator, inner: Step) -> Step:
    """Check that the request's fields hold what can be kept, and the rules that the contract puts on them."""

    def step(request: Any, call: Call) -> Any:
        wellformed.check(request)
        violations = validator.collect_violations(request)
        if violations:
            raise FieldInvalid(violations={_path(v.proto.field): v.proto.message for v in violations})
        return inner(request, call)

    return step


def _path(field: Any) -> str:
    """`risk.coverages[2].limit`, out of the validator's path; empty for a rule on the whole message."""
    text = ""
    for element in field.elements if field else ():
        text += f".{element.field_name}" if text else element.field_name
        subscript = element.subscript
        if subscript is not None:
            text += f"[{subscript.value}]"
    return text
