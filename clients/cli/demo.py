"""`usage demo`: plays the demo and shows what came of it."""

from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import setup_service_pb2 as setup_rpc
from usage_management.v1 import summary_service_pb2 as summaries
from usage_management.v1 import wallet_service_pb2 as wallets

from clients import UsageClient, screens
from clients import demo as story_of
from clients.cli.sale_screens import line_table
from clients.cli.session import REFUSED, Session, as_dict, fail, session
from clients.demo import BUYERS, FILES, KIOSK, LABS, Buyer, DemoError, Story
from clients.demo_usage import CALLS, PLAN, ZONE
from clients.home import near, program
from clients.pages import pages
from clients.tls import PUBLIC, Tls
from clients.values import decimal

Found = dict[str, list[Any]]


def demo(
    context: typer.Context,
    again: Annotated[
        bool, typer.Option("--again", help="new accounts, in the month after this one")
    ] = False,
) -> None:
    """Play a month of the example products, and look at it.

    Runs in the sandbox tenant of `usage up`. The second time it shows what the first left behind.
    """
    now = session(context)
    address, _ = now.resolve()

    async def work(client: UsageClient) -> None:
        try:
            story = await story_of.find_story(client, again=again)
            if await story_of.is_told(client, story):
                told = " and ".join(story.account(buyer) for buyer in BUYERS)
                _say(now, f"{told} have lived through {story.month:%B %Y} already.")
            else:
                await _play(client, now, story)
            found = await _gather(client, story)
        except (DemoError, TimeoutError) as error:
            fail(REFUSED, f"the demo stopped: {error or 'the clock takes too long'}")
        if now.as_json:
            now.print_json({name: [as_dict(one) for one in items] for name, items in found.items()})
            return
        _show(now, story, found)
        _what_next(now, story, found, address)

    now.run(work)


async def _play(client: UsageClient, now: Session, story: Story) -> None:
    month = f"{story.month:%B %Y}"
    for product, file in FILES.items():
        answer = await story_of.set_up(client, file)
        _say(now, f"products/{product} from {near(file)}: {_said(answer)}")
    bought = {}
    for buyer in BUYERS:
        quote = await story_of.offer(client, story, buyer)
        if buyer is LABS and not now.as_json:
            now.console.print(f"a quote for {buyer.display_name}, before it is sold:")
            _print(now, line_table(quote.lines))
        bought[buyer.prefix] = await story_of.sell(client, story, buyer, quote)
        _say(now, f"{story.account(buyer)}, {buyer.display_name}: {_bargain(buyer)}")
    await story_of.advance_clock(client, story, story.last_evening, "evening")
    with _progress(now) as progress:
        total = sum(1 for _ in story_of.records_of(story, bought))
        task = progress.add_task(f"  recording the usage of {month}", total=total)
        await story_of.record(client, story, bought, lambda count: progress.advance(task, count))
    if not now.as_json:
        held = (await _gather(client, story, LABS))["wallets"]
        title = "What is recorded counts at once: the last evening"
        _print(now, screens.wallet_table(held, title, ZONE))
        now.console.print()
    with now.console.status("the clock moves on"):
        run = await story_of.advance_clock(client, story, story.after_freeze, "freeze")
    done = ", ".join(
        f"{count} × {kind.replace('_', ' ')}" for kind, count in sorted(run.done_counts.items())
    )
    at = f"{story.after_freeze:%-d %B}"
    _say(now, f"clock moved to {at}; {month} is frozen, drawn down and rated ({done or 'before'})")


def _show(now: Session, story: Story, found: Found) -> None:
    """The screens: wallets, drawdown, waterfalls, lines."""
    labs, kiosk = (_of(found, story.account(buyer)) for buyer in (LABS, KIOSK))
    clock = screens.when(labs["wallets"][0].as_of_time, ZONE)
    title = f"Wallets of {story.account_id(LABS)} at {clock} ({ZONE})"
    _print(now, screens.wallet_table(labs["wallets"], title, ZONE))
    title = "Drawdown: every grant, and what is left of it"
    _print(now, screens.grant_table(_held(labs), title, ZONE))
    left = [
        (one, grant) for one, grant in _held(kiosk) if screens.last(one.usage_resource) == CALLS
    ]
    title = f"{story.account_id(KIOSK)}: minutes that were left roll over, once"
    _print(now, screens.grant_table(left, title, ZONE))
    rated = [one for one in labs["ratable_summaries"] if decimal(one.overage_quantity) > 0]
    _print(
        now, screens.rating_table(rated, "Rating: what was beyond the grants, by its rate", ZONE)
    )
    if rated:
        longest = max(rated, key=lambda one: len(one.waterfall))
        _print(now, screens.waterfall_table(longest, ZONE))
    for buyer, of_buyer in ((LABS, labs), (KIOSK, kiosk)):
        title = f"Invoice-ready lines of {story.account_id(buyer)}"
        _print(now, screens.liable_table(of_buyer["liable_summaries"], title, ZONE))


async def _gather(client: UsageClient, story: Story, *buyers: Buyer) -> Found:
    """Return the data of the screens, by the names of the protos, in the order of the products."""
    found: Found = {
        name: [] for name in ("wallets", "grants", "ratable_summaries", "liable_summaries")
    }
    for buyer in buyers or BUYERS:
        parent = story.account(buyer)
        order = await _order(client, parent)
        asked = wallets.ListWalletsRequest(parent=parent)
        held = [one async for one in pages(client.wallets.ListWallets, asked)]
        held.sort(key=lambda one: order.get(one.name, len(order)))
        for wallet in held:
            grants = wallets.ListGrantsRequest(parent=wallet.name)
            found["grants"] += [one async for one in pages(client.wallets.ListGrants, grants)]
        found["wallets"] += held
        rpc = client.summaries
        ratable = pages(
            rpc.ListRatableSummaries, summaries.ListRatableSummariesRequest(parent=parent)
        )
        liable = pages(rpc.ListLiableSummaries, summaries.ListLiableSummariesRequest(parent=parent))
        for name, lines in (("ratable_summaries", ratable), ("liable_summaries", liable)):
            listed = [one async for one in lines]
            found[name] += sorted(listed, key=lambda one: order.get(one.wallet, len(order)))
    return found


async def _order(client: UsageClient, parent: str) -> dict[str, int]:
    """The place of each wallet: the plan's first, then the platform's."""
    listed = pages(client.assets.ListAssets, assets.ListAssetsRequest(parent=parent))
    places = {f"products/{product}": place for place, product in enumerate(FILES)}
    bought = sorted([one async for one in listed], key=lambda one: places.get(one.product, 9))
    names = [resource.wallet for asset in bought for resource in asset.resources]
    return {name: place for place, name in enumerate(names)}


def _of(found: Found, account: str) -> Found:
    """Return the data of one account."""
    mine = f"{account}/"
    return {
        name: [one for one in items if one.name.startswith(mine)] for name, items in found.items()
    }


def _held(found: Found) -> list[tuple[wallets.Wallet, wallets.Grant]]:
    by_name = {one.name: one for one in found["wallets"]}
    return [(by_name[grant.name.rpartition("/grants/")[0]], grant) for grant in found["grants"]]


def _what_next(now: Session, story: Story, found: Found, address: str) -> None:
    labs, kiosk = (_of(found, story.account(buyer)) for buyer in (LABS, KIOSK))
    usage = program()
    hints = []
    if kiosk["wallets"]:
        command = f"{usage} wallet show {kiosk['wallets'][0].name}"
        hints.append(("a wallet with its ledger", command))
    if labs["liable_summaries"]:
        dearest = max(labs["liable_summaries"], key=lambda line: decimal(line.exact_amount))
        hints.append(("where an amount comes from", f"{usage} trace {dearest.name}"))
        asset = screens.last(dearest.asset)
        command = f"{usage} record FILE.csv --account {story.account_id(LABS)} --asset {asset}"
        measure = screens.last(dearest.usage_resource)
        hints.append(("usage of your own", f"{command} --time COLUMN --measure COLUMN={measure}"))
    hints += [
        ("a product of your own, begun from a copy", f"{usage} setup {near(FILES[PLAN])} --plan"),
        ("other accounts, in the next month", f"{usage} demo --again"),
        (
            "any language",
            f"buf curl --protocol grpc {_wire(now.tls(address), address)} --list-methods",
        ),
        ("Python", f'UsageClient("{address}", key), see clients/README.md'),
    ]
    now.console.print("\n[bold]What next[/]")
    for what, command in hints:
        now.console.print(f"  [dim]{what}[/]\n    {command}", soft_wrap=True)


def _wire(tls: Tls | None, address: str) -> str:
    """The options and the address with which `buf curl` connects."""
    if tls is None:
        return f"--http2-prior-knowledge http://{address}"
    options = [] if tls.ca == PUBLIC else ["--cacert", tls.ca]
    if tls.certificate and tls.key:
        options += ["--cert", tls.certificate, "--key", tls.key]
    if tls.server_name:
        options += ["--servername", tls.server_name]
    return " ".join([*options, f"https://{address}"])


def _said(answer: setup_rpc.SetUpProductResponse) -> str:
    made = sum(step.action == setup_rpc.SetupStep.CREATED for step in answer.steps)
    used = sum(step.action == setup_rpc.SetupStep.REUSED for step in answer.steps)
    if not made:
        return "in force already"
    return f"{made} records made{f', {used} used as they were' if used else ''}; in force"


def _bargain(buyer: Buyer) -> str:
    if len(buyer.products) == 1:
        return f"ordered {buyer.products[0]}; active"
    return "ordered both, at 2 USD a million prompt tokens instead of 2.50; active"


def _print(now: Session, table: Table) -> None:
    now.console.print()
    now.console.print(table)


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
