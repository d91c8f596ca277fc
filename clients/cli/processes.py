"""The commands that are other programs: they take the place of this process."""

import os
import sys
from collections.abc import Sequence

from clients.home import state

# Command, what is run for it, and what it is for.
PASSED_ON: dict[str, tuple[tuple[str, ...], str]] = {
    "up": (
        ("server.local.supervisor", "up"),
        "Run everything here: Postgres, Redis, server and worker. Ctrl-C stops it.",
    ),
    "serve": (("server", "serve"), "Answer calls until stopped; needs DATABASE_URL."),
    "work": (("workers",), "Do what is due until stopped; needs DATABASE_URL."),
    "migrate": (
        ("server", "migrate"),
        "Bring the database to this schema; logs in by DATABASE_OWNER_URL.",
    ),
    "rotate-token-secrets": (
        ("server", "rotate-token-secrets"),
        "Make a new secret of page tokens; logs in by DATABASE_OWNER_URL.",
    ),
    "verify": (("server", "verify"), "Recompute everything and name the first difference."),
    "bench": (("tests.bench",), "Measure, beside what the machine can do at best."),
    "reset": (("server.local.supervisor", "reset"), "Throw away all that `usage up` keeps."),
}
NEEDS_STORE = frozenset({"verify"})
# What is behind such a command and yet a command of ours.
OURS = frozenset({("bench", "rates")})


def is_passed_on(words: Sequence[str]) -> bool:
    """Return whether another process has these words in its command line."""
    return bool(words) and words[0] in PASSED_ON and tuple(words[:2]) not in OURS


def run_process(command: str, arguments: Sequence[str]) -> int:
    """Become the program of a command. Returns only where a process cannot be replaced."""
    (module, *first), _ = PASSED_ON[command]
    if command in NEEDS_STORE:
        _use_our_store()
    line = [sys.executable, "-m", module, *first, *arguments]
    if sys.stdout is not None:  # closed by `>&-`
        sys.stdout.flush()
    os.execv(line[0], line)
    return 1


def _use_our_store() -> None:
    """Take the database of `usage up` when no other is named."""
    if "DATABASE_URL" not in os.environ and (found := state().get("database_url")):
        os.environ["DATABASE_URL"] = str(found)
