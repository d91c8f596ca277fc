"""The global options, which may stand anywhere on the line, as people write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FLAGS = frozenset({"--json"})
VALUED = frozenset(
    {"--address", "--key", "--ca", "--client-certificate", "--client-key", "--server-name"}
)


@dataclass(frozen=True, slots=True)
class Options:
    """Whom to call as whom (None: as `resolve` of the session finds), and for whom to print."""

    address: str | None = None
    key: str | None = None
    as_json: bool = False
    # Those of TLS, by the names of `clients.tls.SETTINGS`.
    tls: Mapping[str, str | None] = field(default_factory=dict)


def hoisted(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The global options, and the command with all that is its own."""
    options: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        name, equals, _ = argument.partition("=")
        if argument == "--":
            rest += [argument, *left]
        elif argument in FLAGS or (name in VALUED and equals):
            options.append(argument)
        elif name in VALUED:
            options += [argument, *[value for value in [next(left, None)] if value is not None]]
        else:
            rest.append(argument)
    return options, rest
