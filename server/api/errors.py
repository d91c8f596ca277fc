"""Refusals as gRPC statuses: one table from errors to codes, one shape of status (AIP-193).

Every status carries one ErrorInfo; violations, subjects and retry delays are details of their own.
A status stays below 4 KiB, because trailers above the client's limit hide the status.
"""

import re

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from grpc import StatusCode

from server.domain import errors
from server.domain.errors import UsageError

DOMAIN = "usage-management"
# Temporary failures of jobs; all other reasons are a FAILED_PRECONDITION.
PASSING: dict[str, type[UsageError]] = {
    "CONCURRENT_CHANGE": errors.Aborted,
    "DEADLINE_EXCEEDED": errors.DeadlineExceeded,
    "OUTCOME_UNKNOWN": errors.Unavailable,
    "OVERLOADED": errors.ResourceExhausted,
    "PROCESS_LOST": errors.Unavailable,
    "STORE_FULL": errors.ResourceExhausted,
    "STORE_UNAVAILABLE": errors.Unavailable,
}
WITH_REASON = re.compile(r"(?P<reason>[A-Z][A-Z0-9_]+): (?P<text>.*)", re.DOTALL)
MOST_VIOLATIONS = 20
MOST_BYTES = 4096
LONGEST_TEXT = 400

CODES: dict[type[UsageError], StatusCode] = {
    errors.InvalidArgument: StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: StatusCode.PERMISSION_DENIED,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: StatusCode.FAILED_PRECONDITION,
    errors.Aborted: StatusCode.ABORTED,
    errors.OutOfRange: StatusCode.OUT_OF_RANGE,
    errors.ResourceExhausted: StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: StatusCode.DEADLINE_EXCEEDED,
    errors.Unimplemented: StatusCode.UNIMPLEMENTED,
    UsageError: StatusCode.INTERNAL,
}


def code_of(error: UsageError) -> StatusCode:
    """Return the code of a refusal, which is that of its nearest base class."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def status_of(error: UsageError) -> status_pb2.Status:
    """Return the status of a refusal."""
    for violations in (MOST_VIOLATIONS, 5, 1):
        status = _status(error, violations)
        # Fewer violations until it fits; the facts then hold their total number.
        if status.ByteSize() <= MOST_BYTES:
            break
    return status


def failure_status(reason: str, text: str = "") -> status_pb2.Status | None:
    """Return the status of an earlier failure with a reason; None if there is no reason."""
    if not reason:
        return None
    return status_of(errors.FailedPrecondition(reason, text or f"it failed with {reason}"))


def job_status(text: str) -> status_pb2.Status | None:
    """Return the status of a stopped job or run with `REASON: sentence`; None without text.

    A text without a reason is a fault of the service.
    """
    if not text:
        return None
    match = WITH_REASON.fullmatch(text)
    if match is None:
        return status_of(UsageError("INTERNAL", text))
    kind = PASSING.get(match["reason"], errors.FailedPrecondition)
    return status_of(kind(match["reason"], match["text"]))


def _status(error: UsageError, most_violations: int) -> status_pb2.Status:
    number: int = code_of(error).value[0]
    status = status_pb2.Status(code=number, message=_cut(error.message))
    facts = {key: _cut(value) for key, value in error.facts.items()}
    if len(error.violations) > most_violations:
        facts["violations_total"] = str(len(error.violations))
    info = details.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=facts)
    for detail in (info, *_further(error, most_violations)):
        status.details.add().Pack(detail)
    return status


def _further(error: UsageError, most_violations: int) -> list[Message]:
    messages: list[Message] = []
    violations = error.violations[:most_violations]
    if violations and isinstance(error, errors.InvalidArgument):
        messages.append(details.BadRequest(field_violations=[_field(v) for v in violations]))
    elif violations and isinstance(error, errors.ResourceExhausted):
        messages.append(details.QuotaFailure(violations=[_quota(v) for v in violations]))
    elif violations:
        messages.append(details.PreconditionFailure(violations=[_state(v) for v in violations]))
    if error.subject is not None:
        kind, name = f"{DOMAIN}/{error.subject.kind}", _cut(error.subject.name)
        messages.append(details.ResourceInfo(resource_type=kind, resource_name=name))
    if error.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        messages.append(details.RetryInfo(retry_delay=delay))
    return messages


def _field(violation: errors.Violation) -> details.BadRequest.FieldViolation:
    return details.BadRequest.FieldViolation(
        field=violation.field, reason=violation.reason, description=_cut(violation.description)
    )


def _state(violation: errors.Violation) -> details.PreconditionFailure.Violation:
    return details.PreconditionFailure.Violation(
        type=violation.reason, subject=violation.field, description=_cut(violation.description)
    )


def _quota(violation: errors.Violation) -> details.QuotaFailure.Violation:
    return details.QuotaFailure.Violation(
        subject=violation.field, description=_cut(violation.description)
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
