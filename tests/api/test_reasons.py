"""The reasons the service gives are those of `errors.proto`, no more and no fewer."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from usage_management.v1 import errors_pb2

SERVER = Path(__file__).parents[2] / "server"
REASON = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
GIVERS = {
    "InvalidArgument", "Unauthenticated", "PermissionDenied", "AlreadyExists", "FailedPrecondition",
    "Aborted", "OutOfRange", "ResourceExhausted", "Unavailable", "Unimplemented",
    "DeadlineExceeded", "RatingFailed", "BadName", "BadTime", "DecimalError",
    "Violation", "at", "fault",
}  # fmt: skip
KNOWN = set(errors_pb2.ErrorDetails.Reason.keys()) - {"REASON_UNSPECIFIED"}


def calls() -> Iterator[tuple[str, list[str]]]:
    """Every call in the server, with the texts among its arguments."""
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                function = node.func
                name = getattr(function, "id", getattr(function, "attr", ""))
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                yield name, [text for text in texts if isinstance(text, str)]


def test_every_reason_given_is_in_the_contract():
    given = {
        text
        for name, texts in calls()
        if name in GIVERS
        for text in texts
        if REASON.fullmatch(text) and "_" in text
    }

    assert given - KNOWN == set()


def test_every_reason_in_the_contract_is_given():
    source = "\n".join(path.read_text() for path in SERVER.rglob("*.py"))
    kinds = set(re.findall(r'(?:NotFound\.of\(\s*|Kind\(\s*name=)"(\w+)"', source))
    missing = {re.sub(r"(?<!^)([A-Z])", r"_\1", kind).upper() + "_NOT_FOUND" for kind in kinds}

    said = {reason for reason in KNOWN if f'"{reason}"' in source} | missing

    assert KNOWN - said == set()
    assert missing - KNOWN == set()
