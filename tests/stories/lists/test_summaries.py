"""Lists of ratable and liable summaries: each filter alone, two together, by pages; polling."""

from usage_management.v1 import summary_service_pb2 as summaries

from tests.stories.list_words import Listing
from tests.stories.procedure_words import formula, own
from tests.stories.words import Metered, line, moment, stamp
from tests.stories.world import World

LIABLE, RATABLE = summaries.ListLiableSummariesRequest, summaries.ListRatableSummariesRequest
NO_ASSET = "assets/00000000-0000-4000-8000-000000000001"
MINUTES, STORAGE = (
    {"usage_resource": "usageResources/minutes"},
    {"usage_resource": "usageResources/storage"},
)
FEBRUARY = stamp(moment("2024-02-01"))


async def used(world: World, account: str):
    """Usage of a plan in January and February, and of a box in January, which cannot be rated."""
    named = await world.account(account)
    plan, box = await world.sell(named, line("plan", "2024-01-01"), line("box", "2024-01-01"))
    await world.use(plan, "minutes", "2024-01-10", 7)
    await world.use(box, "storage", "2024-01-11", 3)
    return named, plan, box


async def shop(sandbox) -> World:
    """A storage that costs 2 less 3 fails; a minute costs 5 less 3."""
    world = await sandbox("2024-01-31")
    await own(world, formula("net_unit_rate - 3"))
    await world.product("plan", Metered(resource="minutes", rate="5"))
    await world.product("box", Metered(resource="storage", rate="2"))
    return world


async def test_ratable_summaries_by_state_asset_product_resource_and_times(sandbox):
    world = await shop(sandbox)
    account, plan, box = await used(world, "ann")
    await world.advance("2024-02-10")
    await world.use(plan, "minutes", "2024-02-09", 2)
    await world.advance("2024-03-10")
    lines = {
        (one.asset, one.start_time.ToDatetime().month): one for one in await world.ratable(account)
    }
    keys = ((plan.name, 1), (plan.name, 2), (box.name, 1))
    january, february, failed = [lines[key].name for key in keys]
    created = {"start_create_time": lines[plan.name, 2].execution_end_time}
    before = {"end_create_time": lines[plan.name, 2].execution_end_time}
    of_plan = {"product": "products/plan"}
    listing = Listing(world.client.summaries.ListRatableSummaries, RATABLE, account)

    assert len(lines) == 3
    assert sorted((await listing.names())[:2]) == sorted([january, failed])
    assert await listing.names(state="RATED") == [january, february]
    assert await listing.names(state="RATING_FAILED") == [failed]
    assert await listing.names(asset=plan.name) == [january, february]
    assert await listing.names(**STORAGE) == [failed]
    assert await listing.names(start_time=FEBRUARY) == [february]
    assert sorted(await listing.names(end_time=FEBRUARY)) == sorted([january, failed])
    assert await listing.names(end_time=FEBRUARY, **MINUTES) == [january]
    assert await listing.names(state="RATED", **STORAGE) == []
    assert await listing.names(**of_plan) == [january, february]
    assert await listing.names(product="products/box") == [failed]
    assert await listing.names(product="products/nothing") == []
    assert await listing.names(**created) == [february]
    assert sorted(await listing.names(**before)) == sorted([january, failed])
    assert await listing.names(**before, **of_plan) == [january]
    assert await listing.names(asset=f"{account}/{NO_ASSET}") == []
    await listing.refuses_other_filters_for_its_token(
        {}, {"state": "RATED"}, {"asset": plan.name}, {"end_time": FEBRUARY}, of_plan, before
    )
    for end in ("end_time", "end_create_time"):
        empty = {end: FEBRUARY, end.replace("end", "start"): FEBRUARY}
        assert await listing.faults(**empty) == [(end, "INTERVAL_INVALID")]
    assert await listing.faults(product="plan") == [("product", "NAME_FORMAT")]
    foreign = {"asset": f"accounts/bob/{NO_ASSET}"}
    assert await listing.faults(**foreign) == [("asset", "NAME_FORMAT")]


async def test_liable_summaries_by_state_asset_product_resource_and_times(sandbox):
    world = await shop(sandbox)
    account, plan, box = await used(world, "ann")
    await world.advance("2024-02-10")
    await world.use(plan, "minutes", "2024-02-09", 2)
    await world.advance("2024-03-10")
    lines = {
        (one.asset, one.start_time.ToDatetime().month): one for one in await world.liable(account)
    }
    keys = ((plan.name, 1), (plan.name, 2), (box.name, 1))
    january, february, failed = [lines[key].name for key in keys]
    created = {"start_create_time": lines[plan.name, 2].create_time}
    before = {"end_create_time": lines[plan.name, 2].create_time}
    of_plan = {"product": "products/plan"}
    listing = Listing(world.client.summaries.ListLiableSummaries, LIABLE, account)

    assert len(lines) == 3
    assert sorted((await listing.names())[:2]) == sorted([january, failed])
    for name in (account, "accounts/-"):
        listing = Listing(world.client.summaries.ListLiableSummaries, LIABLE, name)
        assert await listing.names(state="READY_FOR_INVOICING") == [january, february]
        assert await listing.names(state="FAILED") == [failed]
        assert await listing.names(asset=plan.name) == [january, february]
        assert await listing.names(**of_plan) == [january, february]
        assert await listing.names(**STORAGE) == [failed]
        assert await listing.names(start_time=FEBRUARY) == [february]
        assert sorted(await listing.names(end_time=FEBRUARY)) == sorted([january, failed])
        assert await listing.names(**created) == [february]
        assert sorted(await listing.names(**before)) == sorted([january, failed])
        assert await listing.names(**before, **of_plan) == [january]
        assert await listing.names(**of_plan, **STORAGE) == []
        assert await listing.names(asset=f"{account}/{NO_ASSET}") == []
        assert await listing.names(product="products/nothing") == []
        await listing.refuses_other_filters_for_its_token(
            {}, {"asset": plan.name}, of_plan, {"end_time": FEBRUARY}, before
        )
        assert await listing.faults(asset=plan.name[:-1]) == [("asset", "ID_FORMAT")]


async def test_a_line_that_late_usage_changes_is_polled_again(sandbox):
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="minutes", rate="5", late="REOPEN"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    await world.use(asset, "minutes", "2024-01-10", 7)
    await world.advance("2024-02-06")
    [before] = await world.liable(account)
    listing = Listing(world.client.summaries.ListLiableSummaries, LIABLE, "accounts/-")
    assert await listing.names(start_create_time=before.create_time) == [before.name]

    await world.use(asset, "minutes", "2024-01-20", 3)
    await world.advance("2024-02-10")
    [after] = await world.liable(account)

    assert after.name == before.name
    assert after.create_time.ToNanoseconds() > before.create_time.ToNanoseconds()
    assert await listing.names(start_create_time=after.create_time) == [after.name]
    assert await listing.names(end_create_time=after.create_time) == []


async def test_the_liable_summaries_of_all_accounts_are_polled_as_they_are_created(sandbox):
    world = await shop(sandbox)
    sold = [await used(world, name) for name in ("zoe", "ann", "bob")]
    other = await shop(sandbox)
    await used(other, "dan")
    await other.advance("2024-02-10")
    await world.advance("2024-02-10")
    listing = Listing(world.client.summaries.ListLiableSummaries, LIABLE, "accounts/-")
    lines = [one for account, *_ in sold for one in await world.liable(account)]

    def key(one: summaries.LiableSummary) -> tuple[object, ...]:
        account, _, line_id = one.name.rsplit("/", 2)
        return one.create_time.ToNanoseconds(), account, line_id

    seen = await listing.names()
    assert seen == [one.name for one in sorted(lines, key=key)]
    assert len(seen) == 6
    bob, plan, _ = sold[2]
    assert await listing.names(asset=plan.name) == [
        one.name for one in lines if one.asset == plan.name
    ]
    await world.use(plan, "minutes", "2024-02-09", 2)
    await world.advance("2024-03-10")
    last = max(lines, key=key).create_time
    again = await listing.names(start_create_time=last)
    assert again[0] == seen[-1]
    [new] = again[1:]
    assert new.startswith(f"{bob}/")
    assert new not in seen
    page = {"start_create_time": last, "end_create_time": last}
    assert await listing.faults(**page) == [("end_create_time", "INTERVAL_INVALID")]

    # A token of all accounts is none of one, and the other way round.
    ann = Listing(listing.method, listing.request, bob)
    for one, another in ((listing, ann), (ann, listing)):
        token = (await one.method(LIABLE(parent=one.parent, page_size=1))).next_page_token
        wrong = await another.refusal(page_size=1, page_token=token)
        assert wrong.reason == "PAGE_TOKEN_INVALID"
    everyone = Listing(world.client.summaries.ListRatableSummaries, RATABLE, "accounts/-")
    assert await everyone.faults() == [("parent", "CODE_FORMAT")]
