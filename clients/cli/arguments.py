"""Global options may stand anywhere on the line, as people write them."""

from collections.abc import Sequence

FLAGS = frozenset({"--json"})
VALUED = frozenset(
    {"--address", "--key", "--ca", "--client-certificate", "--client-key", "--server-name"}
)


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
