"""`usage amend FILE`: new content for recorded usage, out of a file of CSV or JSON."""

from pathlib import Path

import typer

from clients.cli.records.options import Options, with_options
from clients.cli.records.record import run
from clients.cli.session import MISUSED, fail
from clients.recording import AMEND


@with_options
def amend(context: typer.Context, file: Path, options: Options) -> None:
    """Give recorded usage the content in a file of CSV or JSON. Running it again changes nothing.

    The options are those of `usage record`; --id says which record a line is about.
    """
    if options.id_column is None:
        fail(MISUSED, "which record is a line about? Add --id COLUMN")
    run(context, file, options, AMEND)
