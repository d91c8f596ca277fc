"""One run of the command: whom it calls as whom, how it prints, and how it ends when refused."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import typer
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console, RenderableType

from clients import UsageClient, UsageError
from clients.cli.arguments import Options
from clients.home import USUAL_ADDRESS, credentials, program
from clients.tls import SETTINGS, Tls, TlsError

REFUSED, MISUSED, UNREACHABLE, PARTLY = 1, 2, 3, 4

# What to do about a refusal: by its reason, else by its code.
ADVICE = {
    "CREDENTIAL_INVALID": "Give a key that works: --key or USAGE_KEY. `usage up` makes one.",
    "UNAUTHENTICATED": "Give a key: --key or USAGE_KEY. `usage up` makes one.",
    "PERMISSION_DENIED": "Use a credential with a role that may do this.",
    "ETAG_MISMATCH": "Look at it as it is now, then run it again.",
    "ESCALATION": "Use a credential that has the role itself.",
    "NOTHING_FITS": "",
    "SEVERAL_FIT": "",
    "NOT_FOUND": "Check the name, and that the key is of the tenant that holds it.",
    "ALREADY_EXISTS": "Use another id, or send the same content as before.",
    "INVALID_ARGUMENT": "Correct what is named and run it again.",
    "FAILED_PRECONDITION": "Put right what is named and run it again.",
    "ABORTED": "Run it again.",
    "CANCELLED": "Wait a moment and run it again.",
    "UNAVAILABLE": "Wait a moment and run it again.",
    "RESOURCE_EXHAUSTED": "Send less at once, or later.",
    "INTERNAL": "The server's log has the rest: .usage/log/server.log",
}


@dataclass(frozen=True, slots=True)
class Session:
    """The options of this run, and where to print for people."""

    options: Options
    console: Console = field(default_factory=lambda: Console(highlight=False))

    @property
    def as_json(self) -> bool:
        """Return whether the output is for programs."""
        return self.options.as_json

    def resolve(self, *, needs_key: bool = True, as_operator: bool = False) -> tuple[str, str]:
        """The address and the key to call with. Ends the program when a needed key is not there.

        The keys that `usage up` keeps are sent nowhere but to where it says it is served. For an
        operator its key comes before USAGE_KEY, which is that of a tenant as a rule.
        """
        kept = credentials()
        home = kept.get("address", USUAL_ADDRESS)
        address = self.options.address or os.environ.get("USAGE_ADDRESS") or home
        kept = kept if address == home else {}
        operator_key = kept.get("operator_key") if as_operator else None
        key = self.options.key or operator_key or os.environ.get("USAGE_KEY")
        if not key and not as_operator:
            key = kept.get("demo_key")
        if not key and needs_key:
            fail(
                MISUSED,
                f"no key for {address}. `usage up` makes one; or give --key or USAGE_KEY.",
            )
        return address, key or ""

    def tls(self, address: str) -> Tls | None:
        """Return the way to connect: by the options, the environment, or what `usage up` keeps.

        Ends the program when the files cannot be used.
        """
        said = {
            name: self.options.tls.get(name) or os.environ.get(f"USAGE_{name.upper()}") or ""
            for name in SETTINGS
        }
        kept = credentials()
        if address == kept.get("address"):
            said = {name: value or kept.get(name, "") for name, value in said.items()}
        try:
            found = Tls.of(said)
            if found is not None:
                found.credentials()
        except TlsError as error:
            fail(MISUSED, str(error))
        return found

    def run(
        self, work: Callable[[UsageClient], Awaitable[int | None]], *, as_operator: bool = False
    ) -> None:
        """Do `work` with a client and exit; its answer is the exit code."""
        address, key = self.resolve(as_operator=as_operator)
        tls = self.tls(address)

        async def with_client() -> int | None:
            async with UsageClient(address, key, timeout=30, tls=tls) as client:
                return await work(client)

        try:
            code = asyncio.run(with_client())
        except UsageError as error:
            self.end_refused(error, address)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        raise typer.Exit(code or 0)

    def end_refused(self, error: UsageError, address: str) -> NoReturn:
        """Say what was refused, why and what to do; exit 1, or 3 if nobody answered."""
        code = REFUSED if error.is_answer else UNREACHABLE
        if self.as_json:
            print(json.dumps({"error": _as_json(error)}), file=sys.stderr)
            raise typer.Exit(code)
        if not error.is_answer:
            fail(
                code,
                f"{address} does not answer: {error.message}\n"
                "  Is it running? `usage up` starts it here; --address names another place."
                f"{'' if self.tls(address) else ' If it answers over TLS only, give --ca.'}",
            )
        lines = [f"refused: {error.message}", f"  reason: {error.reason}"]
        lines += [f"  {one.field}: {one.description} ({one.reason})" for one in error.violations]
        advice = ADVICE.get(error.reason, ADVICE.get(error.code.name))
        fail(code, "\n".join([*lines, *([f"  {advice}"] if advice else [])]))

    def show(self, value: Message | list[Any], name: str, *shown: RenderableType) -> None:
        """Print what people read, or JSON for programs: a message, or a list under `name`."""
        if self.as_json:
            self.print_json(value, name)
            return
        for one in shown:
            self.console.print(one, soft_wrap=isinstance(one, str))

    def hint(self, *commands: str) -> None:
        """Print commands that follow, for people."""
        if not self.as_json:
            for command in commands:
                self.console.print(f"  {program()} {command}", style="dim", soft_wrap=True)

    def print_json(self, value: Message | list[Any] | dict[str, Any], name: str = "") -> None:
        """Print a message, or a list of them under `name`, with the names of the protos."""
        if isinstance(value, list):
            value = {name: [as_dict(item) for item in value]}
        elif not isinstance(value, dict):
            value = as_dict(value)
        print(json.dumps(value, indent=2, ensure_ascii=False))


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON of its own field names."""
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def fail(code: int, text: str) -> NoReturn:
    """Say what went wrong on standard error, and exit."""
    # Not wrapped, so that a command in the text can be copied.
    console = Console(stderr=True, highlight=False)
    console.print(f"usage: {text}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


def session(context: typer.Context) -> Session:
    """The session of a command."""
    options = context.find_object(Options)
    assert options is not None, "the callback makes it"
    return Session(options)


def _as_json(error: UsageError) -> dict[str, Any]:
    return {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "facts": error.facts,
        "violations": [
            {"field": one.field, "reason": one.reason, "description": one.description}
            for one in error.violations
        ],
    }
