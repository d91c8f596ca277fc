"""Acts that the state of an asset does not allow: each is refused with its reason."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from usage_management.v1 import asset_service_pb2 as assets
from usage_management.v1 import quote_service_pb2 as quotes

from clients import UsageError
from tests.stories.repricing.reprice_words import reprice
from tests.stories.sale_words import linked, to
from tests.stories.token_words import Credits, commitment, described, pack, set_up
from tests.stories.words import day, line, number, refusal, usage
from tests.stories.world import World

ENDED, FUTURE = "2024-03-01", "2025-01-01"


class Shop:
    """Assets of an account in every state in which acts are refused."""

    def __init__(self, world: World, account: str) -> None:
        self.world, self.account = world, account
        self.assets: dict[str, Any] = {}

    async def open(self) -> None:
        sell = self.world.sell
        [here] = await sell(self.account, line("plan", "2024-01-01"))
        [ended] = await sell(self.account, line("plan", "2024-01-01", end=ENDED))
        [future] = await sell(self.account, line("plan", FUTURE))
        [booster] = await sell(self.account, to(here.name, "booster", "2024-01-01"))
        [bound] = await sell(self.account, linked("commit", "2024-01-01", here))
        alone = quotes.SaleLine(
            product="products/commit",
            quantity=number(1),
            start_date=day("2024-02-01"),
            nested=True,
        )
        [waiting] = await sell(self.account, alone)
        self.assets = {
            "here": here,
            "ended": ended,
            "future": future,
            "pack": booster,
            "linked": bound,
            "waiting": waiting,
        }

    async def states(self) -> list[Any]:
        """Everything that an act on these assets could change."""
        rpc = self.world.client.assets
        found: list[Any] = []
        for asset in self.assets.values():
            found.append(await rpc.GetAsset(assets.GetAssetRequest(name=asset.name)))
            request = assets.ListAssetChangesRequest(parent=asset.name)
            found.append(await rpc.ListAssetChanges(request))
        wallets = await self.world.wallets(self.account)
        return [*found, *[await self.world.entries(one) for one in wallets]]

    async def reprice(self, which: str, on: str) -> None:
        await reprice(self.world, self.account, on, self.assets[which])

    async def link(self, which: str, anchor: str, on: str | None = None) -> None:
        await self.world.client.assets.LinkCommitment(
            assets.LinkCommitmentRequest(
                name=self.assets[which].name,
                anchor=self.assets[anchor].name,
                start_date=day(on) if on else None,
            )
        )

    async def use(self, which: str, at: str) -> None:
        [outcome] = await self.world.record([usage(self.assets[which], "credits", at, 1)])
        if outcome.HasField("status"):
            raise UsageError.of_status(outcome.status)


Act = Callable[[Shop], Awaitable[None]]
ACTS: dict[str, tuple[Act, str, str, Act]] = {
    "reprice after the end": (
        lambda shop: shop.reprice("ended", ENDED),
        "INTERVAL_INVALID",
        f"is sold from 2024-01-01 to {ENDED}, not on {ENDED}",
        lambda shop: shop.reprice("ended", "2024-02-29"),
    ),
    "reprice before the start": (
        lambda shop: shop.reprice("future", "2024-12-31"),
        "INTERVAL_INVALID",
        f"is sold from {FUTURE} to no end, not on 2024-12-31",
        lambda shop: shop.reprice("future", FUTURE),
    ),
    "link a pack": (
        lambda shop: shop.link("pack", "here"),
        "BINDING_TARGET",
        "is a PACK, not a commitment",
        lambda shop: shop.link("waiting", "here"),
    ),
    "link to another anchor": (
        lambda shop: shop.link("linked", "ended"),
        "COMMITMENT_LINKED",
        "sell another one for this anchor",
        lambda shop: shop.link("linked", "here"),
    ),
    "link before the start": (
        lambda shop: shop.link("waiting", "here", "2024-01-31"),
        "INTERVAL_INVALID",
        "must be a day of the commitment: 2024-02-01 to no end",
        lambda shop: shop.link("waiting", "here", "2024-02-01"),
    ),
    "link to a pack": (
        lambda shop: shop.link("waiting", "pack"),
        "BINDING_TARGET",
        "is no anchor; name the asset whose usage it is for",
        lambda shop: shop.link("waiting", "here"),
    ),
    "use after the end": (
        lambda shop: shop.use("ended", "2024-03-02"),
        "RESOURCE_NOT_ENTITLED",
        "",
        lambda shop: shop.use("ended", "2024-02-29"),
    ),
    "use of a commitment": (
        lambda shop: shop.use("linked", "2024-03-02"),
        "RESOURCE_NOT_ENTITLED",
        "",
        lambda shop: shop.use("here", "2024-03-02"),
    ),
}


@pytest.mark.capability("M83")
@pytest.mark.parametrize("case", ACTS)
async def test_an_act_that_an_asset_does_not_allow_is_refused_with_its_reason(sandbox, case):
    """Nothing changes, and what the refusal asks for is possible."""
    act, reason, advice, right = ACTS[case]
    world = await sandbox("2024-03-03")
    await set_up(world, described("plan", {}, Credits(price="0.50", grant="10"), category="USAGE"))
    await set_up(world, pack("booster", "credits", grant="5"))
    kind = {"kind": "QUANTITY_COMMITMENT", "discount": "20"}
    await set_up(world, commitment("commit", "credits", "100", **kind))
    shop = Shop(world, await world.account("ann"))
    await shop.open()
    before = await shop.states()

    refused = await refusal(act(shop))

    assert refused.reason == reason
    assert advice in str(refused)
    assert await shop.states() == before
    await right(shop)
