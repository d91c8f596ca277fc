"""Refusals of the service, as one exception."""

from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status

_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong: where, why as a word for programs, why for people."""

    field: str
    reason: str
    description: str


class UsageError(Exception):
    """A call, or one record of a batch, that was refused or did not arrive.

    `reason` is stable and for programs; `facts` holds every value of `message` by name. What did
    not come from the service (it could not be reached, the time was up) has the name of its code as
    its reason, and `is_answer` is False.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        facts: dict[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        super().__init__(f"{message} ({reason})")
        self.code = code
        self.reason = reason
        self.message = message
        self.facts = facts or {}
        self.violations = violations
        self.retry_after_seconds: float | None = None
        self.is_answer = True

    @classmethod
    def of_call(cls, error: grpc.aio.AioRpcError) -> "UsageError":
        """Return the error of a failed call."""
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        if status is not None:
            return cls.of_status(status)
        made = cls(error.code(), error.code().name, error.details() or error.code().name)
        made.is_answer = False
        return made

    @classmethod
    def of_status(cls, status: status_pb2.Status) -> "UsageError":
        """Return the error of a status: of a call, or of one item of a batch."""
        code = _code(status.code)
        info = _detail(status, details.ErrorInfo())
        reason = info.reason if info else code.name
        facts = dict(info.metadata) if info else {}
        made = cls(code, reason, status.message, facts, _violations(status, reason))
        wait = _detail(status, details.RetryInfo())
        if wait is not None:
            made.retry_after_seconds = wait.retry_delay.ToMilliseconds() / 1000
        made.is_answer = info is not None
        return made


def _code(number: int) -> grpc.StatusCode:
    name = code_pb2.Code.Name(number) if number in code_pb2.Code.values() else "UNKNOWN"
    return grpc.StatusCode[name]


def _violations(status: status_pb2.Status, reason: str) -> tuple[Violation, ...]:
    """Return the violations; those of a quota have the reason of the whole."""
    fields = _detail(status, details.BadRequest())
    if fields is not None:
        return tuple(
            Violation(found.field, found.reason, found.description)
            for found in fields.field_violations
        )
    states = _detail(status, details.PreconditionFailure())
    if states is not None:
        return tuple(
            Violation(found.subject, found.type, found.description) for found in states.violations
        )
    quotas = _detail(status, details.QuotaFailure())
    if quotas is not None:
        return tuple(
            Violation(found.subject, reason, found.description) for found in quotas.violations
        )
    return ()


def _detail(status: status_pb2.Status, into: _M) -> _M | None:
    return into if any(detail.Unpack(into) for detail in status.details) else None
