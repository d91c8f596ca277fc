"""The gRPC service config: a timeout for each method, and the retries that any client may do.

    python -m clients.service_config PATH       # what `make protos` runs

It is generated from the options of the protos into
`protos/gen/usage_management/v1/service_config.json`, for
clients in every language. A retry of gRPC sends the same bytes again, so that only methods which
are repeatable whatever the request says have a policy: reads, creates under an id that the request
must have, and usage records. What needs a `request_id`, or the delay that a refusal names, is left
to the program. RESOURCE_EXHAUSTED is retried only after such a delay, so never here.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from usage_management.v1 import annotations_pb2

from clients import retry

NAME = "service_config.json"
DIRECTORY = Path(annotations_pb2.__file__).parent
SECONDS = 10
# Methods that take many records, or compute a month: as long as the server gives a call at most.
SLOW_SECONDS = 30
SLOW = frozenset(
    {
        "ActivateOrder",
        "ActivateProduct",
        "AmendUsage",
        "BatchCreateRateCardEntries",
        "ChangeStates",
        "CreateRecords",
        "PreviewUsage",
        "RecordUsage",
        "ReplayRates",
        "RevisePolicy",
        "SetUpProduct",
        "SimulateProcedure",
        "TraceLiableSummary",
        "ValidateCatalog",
        "ValidateProducts",
        "VoidUsage",
    }
)
RETRY_POLICY = {
    "maxAttempts": retry.MOST_RETRIES + 1,
    "initialBackoff": f"{retry.FIRST_PAUSE_SECONDS}s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def services() -> Iterator[ServiceDescriptor]:
    """The services of the API, by name."""
    for path in sorted(DIRECTORY.glob("*_service_pb2.py")):
        module = importlib.import_module(f"usage_management.v1.{path.stem}")
        yield from module.DESCRIPTOR.services_by_name.values()


def made() -> dict[str, Any]:
    """Make the config from the protos. Methods that have the same settings are one entry."""
    entries: dict[str, dict[str, Any]] = {}
    for service in services():
        for method in service.methods:
            settings = _settings(method)
            entry = entries.setdefault(json.dumps(settings), {"name": [], **settings})
            entry["name"].append({"service": service.full_name, "method": method.name})
    return {
        "methodConfig": list(entries.values()),
        # While more calls fail than succeed, retries only make it worse.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }


@cache
def timeouts() -> dict[str, float]:
    """Return the seconds of each method by its path, from the file; streams have none."""
    config = json.loads((DIRECTORY / NAME).read_text())
    return {
        f"/{name['service']}/{name['method']}": float(entry["timeout"].removesuffix("s"))
        for entry in config["methodConfig"]
        if "timeout" in entry
        for name in entry["name"]
    }


def is_repeatable(method: MethodDescriptor) -> bool:
    """Return whether doing it twice is doing it once, whatever the request says."""
    if method.client_streaming or method.server_streaming:
        return False
    if not method.GetOptions().Extensions[annotations_pb2.mutation]:
        return True
    if method.name in retry.REPEATABLE:
        return True
    return method.name.startswith("Create") and any(
        field.name.endswith("_id") and _is_required(field) for field in method.input_type.fields
    )


def _settings(method: MethodDescriptor) -> dict[str, Any]:
    if method.client_streaming or method.server_streaming:
        return {}
    seconds = SLOW_SECONDS if method.name in SLOW else SECONDS
    settings: dict[str, Any] = {"timeout": f"{seconds}s"}
    if is_repeatable(method):
        settings["retryPolicy"] = RETRY_POLICY
    return settings


def _is_required(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[validate_pb2.field].required)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(made(), indent=2) + "\n")
