"""The command `usage`. Loads only what the command at hand needs: `usage --help` must be quick."""

import importlib
import os
import sys

from clients.cli.arguments import hoisted
from clients.cli.processes import is_passed_on, run_process

# Read when gRPC is first imported: what a failed handshake means is told by us.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def main() -> None:
    """Run the command line and exit: 0 done, 1 refused by the service, 2 not understood,
    3 service not reachable, 4 some records not taken."""
    options, rest = hoisted(sys.argv[1:])
    if is_passed_on(rest):
        # Everything behind such a command is for the program it stands for.
        place = sys.argv.index(rest[0])
        sys.exit(run_process(rest[0], sys.argv[place + 1 :]))
    app = importlib.import_module("clients.cli.app")
    app.build(rest[0] if rest else None)([*options, *rest], prog_name="usage")
