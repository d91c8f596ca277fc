"""`usage export`: the whole catalog, as a file that `usage setup` applies."""

import sys

import typer

from clients import UsageClient
from clients.catalogs import exchange
from clients.catalogs.writing import write_json, write_yaml
from clients.cli.session import session


def export(context: typer.Context) -> None:
    """Print the whole catalog as a file that `usage setup` applies, here or in another tenant.

    It is YAML, or JSON with --json. What a file cannot say is named on standard error.
    """
    now = session(context)

    async def work(client: UsageClient) -> None:
        catalog, omissions = await exchange.export(client)
        left_out = [f"{one.name}: {one.description}" for one in omissions]
        if now.as_json:
            print(write_json(catalog))
        else:
            print("".join(f"# not in this file: {one}\n" for one in left_out), end="")
            print(write_yaml(catalog), end="")
        for one in left_out:
            print(f"not exported: {one}", file=sys.stderr)

    now.run(work)
