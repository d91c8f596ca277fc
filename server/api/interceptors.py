"""The chain around every servicer method.

Before the method, in this order: message size and form, deadline, authentication, permission,
safety of the store, rules of the proto. After it: errors to statuses, metrics, and a line in the
log. Handlers are built once for each method, so that no call repeats this work.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_status import rpc_status

from server import metrics
from server.api import calls
from server.api.admission import Admission
from server.api.answers import MAX_ANSWER_BYTES, answer_too_large
from server.api.auth import Authenticator
from server.api.calls import Caller
from server.api.conflicts import refusal_of_fault
from server.api.errors import code_of, status_of
from server.api.permissions import Requirement, refuse_without, requirement
from server.api.validation import refusal_of, surely_valid
from server.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    UsageError,
)
from server.domain.ids import TenantId
from server.domain.limits import value_of
from server.store.transaction import too_late

log = structlog.get_logger("calls")

USUAL_SECONDS = 10.0
MOST_SECONDS = float(value_of("call.seconds"))
MOST_UNKNOWN_FIELDS = 64
MOST_UNKNOWN_BYTES = 4096
# Only batches may be larger. The transport accepts more than both (`server.app`), so that a
# larger message is refused here, with a status that names the limit.
MOST_BYTES = value_of("message.bytes")
MOST_BATCH_BYTES = value_of("message.record_bytes")
BATCHES = frozenset({"RecordUsage", "AmendUsage", "CreateRecords", "BatchCreateRateCardEntries"})
_numbers = count(1)


@dataclass(slots=True)
class SharedState:
    """The state that all methods share.

    `unsafe_settings` are the settings of the store that can lose a write. With `logs_all`, reads
    that succeed are logged too.
    """

    authenticator: Authenticator
    admission: Admission
    unsafe_settings: tuple[str, ...] = ()
    logs_all: bool = False

    def refuse_unsafe(self) -> None:
        """Raise UNSAFE_STORE if an acknowledged write could be lost."""
        if self.unsafe_settings:
            settings = ", ".join(self.unsafe_settings)
            raise FailedPrecondition(
                "UNSAFE_STORE",
                f"the store could lose acknowledged changes ({settings}), so it accepts none",
                {"settings": settings},
            )


class Methods(grpc.GenericRpcHandler):
    """The handlers of all methods, in one dictionary.

    gRPC asks its generic handlers in turn for every call, so all services share one.
    """

    def __init__(
        self, services: Iterable[tuple[ServiceDescriptor, object]], shared: SharedState
    ) -> None:
        """Build the handlers. Raises LookupError if a method declares no permission."""
        self._by_path = {
            f"/{service.full_name}/{method.name}": _method_handler(
                method, getattr(servicer, method.name), shared, _ready_of(servicer, method.name)
            )
            for service, servicer in services
            for method in service.methods
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of the called method, if it is one of these."""
        return self._by_path.get(handler_call_details.method)


# Return the cached answer to a tenant's request by its bytes; None if there is none.
Ready = Callable[[TenantId, bytes], bytes | None]


def _ready_of(servicer: object, method: str) -> Ready | None:
    """Return the look-up of a method's cached answers, if its servicer has one."""
    by_method: dict[str, Ready] = getattr(servicer, "ready_answers", {})
    return by_method.get(method)


def _method_handler(
    method: MethodDescriptor,
    function: Callable[..., Any],
    shared: SharedState,
    ready: Ready | None = None,
) -> "grpc.RpcMethodHandler[Any, Any]":
    guard = _Guard(method, shared, ready)
    return grpc.unary_unary_rpc_method_handler(_unary(guard, function))


class _Guard:
    """The checks, metrics and limits of one method."""

    def __init__(self, method: MethodDescriptor, shared: SharedState, ready: Ready | None) -> None:
        self.name = f"/{method.containing_service.full_name}/{method.name}"
        self._shared = shared
        # With `logs_all` every call is logged, so no call may take the short way.
        self._ready = None if shared.logs_all else ready
        self.admission = shared.admission
        self._input = GetMessageClass(method.input_type)
        self._requirement: Requirement = requirement(method)
        self._is_surely_valid = surely_valid(method.input_type)
        self._calls = metrics.CALLS.of(method.name)
        self._short = method.name
        self._most_bytes = MOST_BATCH_BYTES if method.name in BATCHES else MOST_BYTES

    def parse(self, data: bytes) -> Message:
        """Return the message. Raises MESSAGE_TOO_LARGE, MALFORMED_MESSAGE, UNKNOWN_FIELDS."""
        if len(data) > self._most_bytes:
            limit, got = str(self._most_bytes), str(len(data))
            text = f"a message of this method has at most {limit} bytes, this one has {got}"
            raise ResourceExhausted("MESSAGE_TOO_LARGE", text, {"limit": limit, "got": got})
        try:
            message = self._input.FromString(data)
        except DecodeError:
            raise InvalidArgument(
                "MALFORMED_MESSAGE", "the bytes are not a message of this method"
            ) from None
        if len(UnknownFieldSet(message)) > MOST_UNKNOWN_FIELDS or (
            len(data) > MOST_UNKNOWN_BYTES and _has_many_unknown_bytes(message, data)
        ):
            raise InvalidArgument(
                "UNKNOWN_FIELDS",
                f"more than {MOST_UNKNOWN_FIELDS} fields or {MOST_UNKNOWN_BYTES} bytes are unknown",
            )
        return message

    def ready_answer(self, data: bytes, context: Any, started: float) -> bytes | None:
        """Return the cached answer to a request, if there is one; hot.

        The same bytes were parsed, validated and answered for this tenant before. Only the caller
        is checked. Nothing here waits, so neither the deadline nor the limit of active calls
        applies.
        """
        if self._ready is None:
            return None
        identity = self._shared.authenticator.known(context.invocation_metadata() or ())
        if identity is None or self._requirement.permission not in identity.permissions:
            return None
        answer = self._ready(identity.tenant_id, data)
        if answer is not None:
            self._calls.observe(time.monotonic() - started)
            self._calls.count("OK")
        return answer

    def refusal_of(self, request: Message) -> InvalidArgument | None:
        """Return the violations of the proto's rules by a request, if there are any.

        The fast check runs first; the full validation only builds the error.
        """
        return None if self._is_surely_valid(request) else refusal_of(request)

    async def admit(self, context: Any, started: float) -> Caller:
        """Return the caller, if it is permitted. Raises as `SharedState` and `permissions`."""
        left = context.time_remaining()
        seconds = USUAL_SECONDS if left is None else min(left, MOST_SECONDS)
        identity = await self._shared.authenticator.identify(
            context.invocation_metadata() or (), context.peer
        )
        call = Caller(
            tenant_id=identity.tenant_id,
            credential_id=identity.credential_id,
            permissions=identity.permissions,
            method=self.name,
            number=next(_numbers),
            deadline=started + seconds,
            # gRPC ends such a call itself; `Admission` ends the others.
            is_timed_by_client=left is not None and left <= MOST_SECONDS,
            context=context,
        )
        calls.begin(call)
        refuse_without(call.permissions, self._requirement.permission)
        if self._requirement.is_mutation:
            self._shared.refuse_unsafe()
        return call

    def answered(self, answer: Message | bytes) -> bytes:
        """Return an answer as bytes. Raises ANSWER_TOO_LARGE for a query.

        The answer of a mutation is checked before its commit, because its effect cannot be undone
        here.
        """
        data = answer if isinstance(answer, bytes) else answer.SerializeToString()
        if len(data) > MAX_ANSWER_BYTES and not self._requirement.is_mutation:
            raise answer_too_large(len(data))
        return data

    def end_well(self, started: float) -> None:
        """Count and log an answered call; its effect is committed, so this must not raise."""
        try:
            self._note_answer(started)
        except Exception:
            metrics.BOOKKEEPING_FAILURES.inc()

    async def end_canceled(self, context: Any, started: float) -> None:
        """Refuse a call that the server ended; count one that its client ended."""
        if calls.caller().is_overdue:
            await self.refuse(context, too_late(), started)
        self._calls.count("CANCELLED")

    def _note_answer(self, started: float) -> None:
        took = time.monotonic() - started
        self._calls.observe(took)
        self._calls.count("OK")
        if not (self._requirement.is_mutation or self._shared.logs_all):
            return
        call = calls.caller()
        log.info(
            self._short,
            call=call.call_id,
            tenant=str(call.tenant_id),
            code="OK",
            ms=round(took * 1000, 1),
        )

    async def refuse(self, context: Any, error: Exception, started: float) -> None:
        """Send the status of a refusal; a fault of the service shows no details."""
        refusal = refusal_of_fault(error)
        if refusal is None:
            refusal = _Incident()
            metrics.INCIDENTS.inc()
            log.exception("incident", method=self._short, incident=refusal.facts["incident"])
        took = time.monotonic() - started
        status = status_of(refusal)
        code = code_of(refusal).name
        self._calls.count(code)
        self._calls.observe(took)
        call = calls.caller()
        log.info(
            self._short,
            call=call.call_id,
            tenant=str(call.tenant_id),
            code=code,
            reason=refusal.reason,
            ms=round(took * 1000, 1),
        )
        try:
            await context.abort_with_status(rpc_status.to_status(status))
        except grpc.aio.AbortError:
            raise
        except Exception:
            # The call ended before its refusal could be sent: its deadline passed, or the client
            # has gone. gRPC accepts only a cancellation as the end of such a call.
            raise asyncio.CancelledError from None


class _Incident(UsageError):
    """A fault of the service: the caller gets only a number, which finds it in the log."""

    def __init__(self) -> None:
        incident = uuid.uuid4().hex[:12]
        super().__init__(
            "INTERNAL", f"an internal error, logged as {incident}", {"incident": incident}
        )


def _unary(guard: _Guard, function: Callable[..., Any]) -> Callable[..., Any]:
    async def run(data: bytes, context: Any) -> bytes:
        started = time.monotonic()
        try:
            ready = guard.ready_answer(data, context, started)
            if ready is not None:
                return ready
            request = guard.parse(data)
            call = await guard.admit(context, started)
            guard.admission.enter(call)
            try:
                call.refusal = guard.refusal_of(request)
                if call.refusal is not None:
                    await calls.refuse_all_faults(call.refusal, function, request, context)
                answer = guard.answered(await function(request, context))
            finally:
                guard.admission.leave(call)
        except grpc.aio.AbortError:
            raise
        except asyncio.CancelledError:
            await guard.end_canceled(context, started)
            raise
        except Exception as error:
            await guard.refuse(context, error, started)
            raise
        guard.end_well(started)
        return answer

    return run


def _has_many_unknown_bytes(message: Message, data: bytes) -> bool:
    """Return whether too many bytes of a message are unknown fields, which are dropped from it.

    protobuf has no size of unknown fields, so what is left without them is measured. That is
    compared with the bytes that were sent first, which costs a batch little; these may be longer
    than the message needs to be, and only then the message with its unknown fields is measured too.
    """
    message.DiscardUnknownFields()
    known = message.ByteSize()
    if len(data) - known <= MOST_UNKNOWN_BYTES:
        return False
    return type(message).FromString(data).ByteSize() - known > MOST_UNKNOWN_BYTES
