"""The commands put together, and the options that all of them share."""

import importlib
from typing import Annotated

import typer

from clients.cli.arguments import Options
from clients.cli.processes import PASSED_ON

# Command, the module whose function of that name it is (with `_` for `-`), and its line in the
# list of commands.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("clients.cli.demo", "Play a month of the example products, and look at it."),
    "status": ("clients.cli.status", "Show the stores, the schema, what waits, and the clocks."),
    "setup": ("clients.cli.setup", "Set up a product with all it needs, or a catalog, in a file."),
    "export": ("clients.cli.export", "Print the whole catalog, as a file that `setup` applies."),
    "clone": ("clients.cli.clone", "Copy a product, a rate card or a price book, as drafts."),
    "tenant": ("clients.cli.access", "Tenants: create, list."),
    "credential": ("clients.cli.access", "Keys of a tenant, and their roles: create, revoke."),
    "clock": ("clients.cli.access", "The clock of a sandbox: show, advance."),
    "units": ("clients.cli.catalog", "Units of measure: list."),
    "rates": ("clients.cli.catalog", "Rates: list those of the catalog, discover one."),
    "account": ("clients.cli.accounts", "Accounts: create, list, show with assets."),
    "target": (
        "clients.cli.targets.target",
        "Targets to bind sales to: create, list, show, update, delete.",
    ),
    "asset": (
        "clients.cli.assets",
        "Assets: terms, history, links of commitments, repricing.",
    ),
    "details": ("clients.cli.assets", "The agreed terms of a sale or a target, by resource."),
    "quote": ("clients.cli.selling", "Quotes: create, negotiate, preview, approve, list, show."),
    "order": (
        "clients.cli.selling",
        "Orders: create from a quote, activate, retrigger, list, show.",
    ),
    "sell": ("clients.cli.selling", "Quote, order and activate in one go."),
    "record": ("clients.cli.records.record", "Record the usage in a file of CSV or JSON."),
    "records": ("clients.cli.records.showing", "Usage records: what became of one: show."),
    "loading": (
        "clients.cli.records.loading",
        "Times in which usage of any age is accepted: start, extend, end, list.",
    ),
    "amend": ("clients.cli.corrections.amend", "Give recorded usage the content in a file."),
    "amend-all": (
        "clients.cli.corrections.amend_all",
        "Amend all usage that matches, in the same way.",
    ),
    "void": ("clients.cli.corrections.void", "Void usage, by record or by what it matches."),
    "wallet": ("clients.cli.reading", "Wallets: what is left, and every movement."),
    "validate": ("clients.cli.validate", "Say what is wrong with products, and what to do."),
    "preview": ("clients.cli.preview", "Say what usage would draw and cost, before it happens."),
    "replay": ("clients.cli.preview", "Price final usage by another price book."),
    "summary": ("clients.cli.billing", "Usage by day, and its cost by period: list, rated."),
    "lines": ("clients.cli.billing", "Invoice-ready lines, and when the next ones come."),
    "trace": ("clients.cli.billing", "Explain an invoice-ready line down to its days."),
    "corrections": (
        "clients.cli.corrections.listing",
        "What changed final periods, and what is not corrected yet.",
    ),
    "correction": ("clients.cli.corrections.listing", "A correction: its lines and its entries."),
    "invoice": ("clients.cli.invoices", "Mark lines as invoiced: mark."),
    "bench": (
        "clients.cli.bench",
        "Measure, beside what the machine can do at best; `bench rates` loads a service.",
    ),
}


def build(wanted: str | None) -> typer.Typer:
    """The whole command line, of which only the command `wanted` is loaded."""
    app = typer.Typer(
        name="usage",
        help="Usage management: start it, fill it, look into it.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for name, (_, what) in PASSED_ON.items():
        if name not in COMMANDS:
            app.command(name, help=what)(_nothing)
    for name, (module, what) in COMMANDS.items():
        is_wanted, function = name == wanted, name.replace("-", "_")
        loaded = getattr(importlib.import_module(module), function) if is_wanted else _nothing
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=name, help=what)
        else:
            app.command(name, help=what if loaded is _nothing else None)(loaded)
    return app


def options(  # noqa: PLR0913, PLR0917 - an option each
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Option(help="Where the service answers; else USAGE_ADDRESS, else `usage up` here."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The credential; else USAGE_KEY, else that of `usage up`.")
    ] = None,
    ca: Annotated[
        str | None,
        typer.Option(
            help="PEM file of the authority that the server's certificate is of, or `public`;"
            " makes the connection TLS. Else USAGE_CA."
        ),
    ] = None,
    client_certificate: Annotated[
        str | None, typer.Option(help="PEM file to show; else USAGE_CLIENT_CERTIFICATE.")
    ] = None,
    client_key: Annotated[
        str | None, typer.Option(help="Its key, a PEM file; else USAGE_CLIENT_KEY.")
    ] = None,
    server_name: Annotated[
        str | None,
        typer.Option(
            help="The name in the server's certificate, if it is not that of the address; else"
            " USAGE_SERVER_NAME."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Usage management: start it, fill it, look into it.

    Exit codes: 0 done, 1 refused by the service or errors found, 2 not understood, 3 service not
    reachable, 4 some records not taken.
    """
    tls = {
        "ca": ca,
        "client_certificate": client_certificate,
        "client_key": client_key,
        "server_name": server_name,
    }
    context.obj = Options(address, key, json, tls)


def _nothing() -> None:
    """Only listed: the command is not the one that runs."""
