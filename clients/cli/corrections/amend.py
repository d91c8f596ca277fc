"""`usage amend FILE`: new content for recorded usage, out of a file of CSV or JSON."""

from typing import Annotated

import typer

from clients.cli import record_options as take
from clients.cli.record import run
from clients.cli.record_options import OnError, Options
from clients.recording import AMEND

ID = Annotated[str, typer.Option("--id", metavar="COLUMN", help="the column of the record's id")]


def amend(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    file: take.FILE,
    id_column: ID,
    time: take.TIME,
    measure: take.MEASURE,
    account: take.ACCOUNT = None,
    account_column: take.ACCOUNT_COLUMN = None,
    asset: take.ASSET = None,
    asset_column: take.ASSET_COLUMN = None,
    label: take.LABEL = None,
    unit: take.UNIT = None,
    unit_column: take.UNIT_COLUMN = None,
    time_zone: take.TIME_ZONE = None,
    delimiter: take.DELIMITER = None,
    decimal_comma: take.DECIMAL_COMMA = False,
    format_: take.FORMAT = None,
    on_error: take.ON_ERROR = OnError.STOP,
) -> None:
    """Give recorded usage the content in a file of CSV or JSON. Running it again changes nothing.

    The options are those of `usage record`; --id says which record a line is about.
    """
    options = Options(
        account=account,
        account_column=account_column,
        asset=asset,
        asset_column=asset_column,
        time=time,
        measures=measure,
        labels=label or [],
        unit=unit,
        unit_column=unit_column,
        time_zone=time_zone,
        id_column=id_column,
        delimiter=delimiter,
        decimal_comma=decimal_comma,
        format=format_,
        on_error=on_error,
    )
    run(context, file, options, AMEND)
