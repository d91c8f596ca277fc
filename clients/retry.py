"""Retries: which calls are repeated, how often, and after how long.

A call is tried again when its answer may have been lost or a rule says so, and only if doing it
twice is doing it once: reads, what carries a `request_id`, creates under an id of the caller's, and
usage records, whose ids are unique.
"""

import random
import uuid

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

# Three services are not named here, but importing one puts its methods into the pool in which
# `method` looks. Of the others that is done by whoever uses their messages.
from usage_management.v1 import (
    annotations_pb2,
    catalog_service_pb2,  # noqa: F401 - puts its methods into the pool
    policy_service_pb2,  # noqa: F401 - puts its methods into the pool
    procedure_service_pb2,  # noqa: F401 - puts its methods into the pool
)

from clients.errors import UsageError

MOST_RETRIES = 3
TELLING = frozenset({grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED})
FIRST_PAUSE_SECONDS = 0.1

# Repeatable by nature, though their requests carry no id of the attempt.
REPEATABLE = frozenset(
    {
        "RecordUsage",
        "VoidUsage",
        "AmendUsage",
        "CreateProductUsageResource",
        "ExtendLoading",
        "EndLoading",
    }
)


def method(path: str) -> MethodDescriptor:
    """The description of the method at `/{service}/{method}`."""
    name = path.removeprefix("/").replace("/", ".")
    found: MethodDescriptor = descriptor_pool.Default().FindMethodByName(name)
    return found


def is_safe(called: MethodDescriptor) -> bool:
    """Return whether a call may be repeated without another effect."""
    if not called.GetOptions().Extensions[annotations_pb2.mutation]:
        return True
    fields = called.input_type.fields_by_name
    has_own_id = called.name.startswith("Create") and any(name.endswith("_id") for name in fields)
    return "request_id" in fields or has_own_id or called.name in REPEATABLE


def named(request: Message) -> Message:
    """The request with a `request_id`, if it may have one and has none."""
    if "request_id" not in request.DESCRIPTOR.fields_by_name or request.request_id:  # type: ignore[attr-defined]
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    copy.request_id = f"client-{uuid.uuid4()}"  # type: ignore[attr-defined]
    return copy


def pause(error: UsageError, retry: int) -> float | None:
    """Seconds to wait before retry number `retry` (from 1); None when trying again is no use."""
    if retry > MOST_RETRIES:
        return None
    # A server that has too much to do cancels calls before it begins them, without a reason. (A
    # call that its caller cancels raises CancelledError and does not come here.)
    was_shed = error.code is grpc.StatusCode.CANCELLED and not error.is_answer
    # Others were quicker, or there was too much to do: nothing happened, and the answer says when
    # to try again. A limit that waiting does not change has no such time.
    told_when = error.retry_after_seconds is not None and error.code in TELLING
    if error.code is grpc.StatusCode.UNAVAILABLE or was_shed or told_when:
        usual: float = FIRST_PAUSE_SECONDS * 2 ** (retry - 1)
        # Many clients that were refused at once must not come back at once.
        return max(error.retry_after_seconds or 0.0, usual) * random.uniform(1.0, 1.25)
    return None
