"""`usage demo`: plays the demo and shows what came of it."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from usage.v1 import asset_service_pb2 as assets
from usage.v1 import summary_service_pb2 as summaries
from usage.v1 import wallet_service_pb2 as wallets

from clients import UsageClient, screens
from clients import demo as story_of
from clients.cli.session import REFUSED, Session, as_dict, fail, session
from clients.demo import ZONE, DemoError, Story
from clients.demo_catalogue import define
from clients.home import program
from clients.pages import pages
from clients.values import decimal


def demo(
    context: typer.Context,
    again: Annotated[
        bool, typer.Option("--again", help="a new account, in the month after this one")
    ] = False,
) -> None:
    """Play a month of a real-looking product, and look at it.

    Runs in the sandbox tenant of `usage up`. The second time it shows what the first left behind.
    """
    now = session(context)
    address, _ = now.resolve()

    async def work(client: UsageClient) -> None:
        try:
            story = await story_of.find_story(client, again=again)
            if await story_of.is_told(client, story):
                _say(now, f"{story.account} has lived through {story.month:%B %Y} already.")
            else:
                await _play(client, now, story)
            await _show(client, now, story)
        except (DemoError, TimeoutError) as error:
            fail(REFUSED, f"the demo stopped: {error or 'the clock takes too long'}")
        if not now.as_json:
            await _what_next(client, now, story, address)

    now.run(work)


async def _play(client: UsageClient, now: Session, story: Story) -> None:
    month = f"{story.month:%B %Y}"
    await define(client)
    _say(now, "product nimbus-ai: tokens, images and storage, each with a monthly grant – active")
    asset = await story_of.sell(client, story)
    _say(now, f"{story.account}: quoted at 10 EUR a million tokens instead of 12, ordered, active")
    await story_of.advance_clock(client, story, story.last_evening, "evening")
    with _progress(now) as progress:
        total = sum(1 for _ in story_of.usage(story, asset.name))
        task = progress.add_task(f"  recording the usage of {month}", total=total)
        await story_of.record(
            client, story, asset.name, lambda count: progress.advance(task, count)
        )
    if not now.as_json:
        found = await _wallets(client, story)
        title = f"Live, the last evening of {month}: what is recorded counts"
        now.console.print()
        now.console.print(screens.wallet_table(found, title, ZONE))
    with now.console.status("the clock moves on"):
        run = await story_of.advance_clock(client, story, story.after_freeze, "freeze")
    done = ", ".join(
        f"{count} × {kind.replace('_', ' ')}" for kind, count in sorted(run.done_counts.items())
    )
    at = f"{story.after_freeze:%-d %B}"
    _say(now, f"clock moved to {at}; {month} is frozen, drawn down and rated ({done or 'before'})")


async def _show(client: UsageClient, now: Session, story: Story) -> None:
    found = await _gather(client, story)
    if now.as_json:
        now.print_json({name: [as_dict(item) for item in items] for name, items in found.items()})
        return

    def show(table: Table) -> None:
        now.console.print()
        now.console.print(table)

    resources = {one.name: one for one in found["wallets"]}
    clock = screens.when(found["wallets"][0].as_of_time, ZONE)
    show(screens.wallet_table(found["wallets"], f"Wallets at {clock} ({ZONE})", ZONE))
    pairs = [(resources[grant.name.rpartition("/grants/")[0]], grant) for grant in found["grants"]]
    show(screens.grant_table(pairs, "Drawdown: every grant, and what is left of it", ZONE))
    for summary in found["ratable_summaries"]:
        if decimal(summary.overage_quantity) > 0:
            show(screens.waterfall_table(summary, ZONE))
    title = f"Invoice-ready lines of {story.account}"
    show(screens.liable_table(found["liable_summaries"], title, ZONE))


async def _gather(client: UsageClient, story: Story) -> dict[str, list[Any]]:
    """What the screens are made of, by the names of the protos."""
    found = await _wallets(client, story)
    grants: list[Any] = []
    for wallet in found:
        asked = wallets.ListGrantsRequest(parent=wallet.name)
        grants += [grant async for grant in pages(client.wallets.ListGrants, asked)]
    rpc = client.summaries
    ratable = summaries.ListRatableSummariesRequest(parent=story.account)
    liable = summaries.ListLiableSummariesRequest(parent=story.account)
    return {
        "wallets": found,
        "grants": grants,
        "ratable_summaries": [one async for one in pages(rpc.ListRatableSummaries, ratable)],
        "liable_summaries": [one async for one in pages(rpc.ListLiableSummaries, liable)],
    }


async def _wallets(client: UsageClient, story: Story) -> list[wallets.Wallet]:
    asked = wallets.ListWalletsRequest(parent=story.account)
    return [wallet async for wallet in pages(client.wallets.ListWallets, asked)]


async def _what_next(client: UsageClient, now: Session, story: Story, address: str) -> None:
    found = await _wallets(client, story)
    asked = summaries.ListLiableSummariesRequest(parent=story.account)
    lines = [one async for one in pages(client.summaries.ListLiableSummaries, asked)]
    owned = assets.ListAssetsRequest(parent=story.account)
    bought = [one async for one in pages(client.assets.ListAssets, owned)]
    usage = program()
    hints = [("a wallet with its ledger", f"{usage} wallet show {found[0].name}")] if found else []
    if lines:
        dearest = max(lines, key=lambda line: decimal(line.exact_amount))
        hints.append(("where an amount comes from", f"{usage} trace {dearest.name}"))
    if bought:
        asset = screens.last(bought[0].name)
        command = f"{usage} record FILE.csv --account {story.account_id} --asset {asset}"
        hints.append(("usage of your own", f"{command} --time COLUMN --measure COLUMN=tokens"))
    hints += [
        ("another account, in the next month", f"{usage} demo --again"),
        (
            "any language",
            f"buf curl --protocol grpc --http2-prior-knowledge http://{address} --list-methods",
        ),
        ("Python", f'UsageClient("{address}", key), see clients/README.md'),
    ]
    now.console.print("\n[bold]What next[/]")
    for what, command in hints:
        now.console.print(f"  [dim]{what}[/]\n    {command}", soft_wrap=True)


def _say(now: Session, text: str) -> None:
    if not now.as_json:
        now.console.print(f"  [green]✓[/] {text}", soft_wrap=True)


def _progress(now: Session) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=now.console,
        disable=now.as_json,
    )
