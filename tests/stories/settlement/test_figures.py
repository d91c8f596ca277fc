"""The worked figures of the domain, from a unit of measure to an invoice-ready line."""

from decimal import Decimal

import pytest
from usage_management.v1 import consumption_service_pb2 as consumption
from usage_management.v1 import quote_service_pb2 as quotes
from usage_management.v1 import types_pb2 as types

from clients.values import enum_name
from tests.stories.bill_words import owed
from tests.stories.words import Metered, figure, line, moment, number, stamp, usage


@pytest.mark.capability("M84", "M115", "M100.ready")
async def test_a_telecom_plan_bills_what_its_grants_do_not_cover(sandbox):
    """X11: 102 GB with 2 included at 1.25; 4,500 SMS with 4,000 included at 0.75."""
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="data", grant="2", rate="1.25"),
        Metered(resource="sms", grant="4000", rate="0.75"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    outcomes = await world.record(
        [usage(asset, "data", "2024-01-10", 102), usage(asset, "sms", "2024-01-11", 4499)]
    )
    single = await world.use(asset, "sms", "2024-01-12", 1)
    pending = await world.client.consumption.ListUsageRecords(
        consumption.ListUsageRecordsRequest(parent=account)
    )
    listed = [wallet.usage_resource for wallet in await world.wallets(account)]
    await world.advance("2024-02-03T23:59")
    too_early = await world.liable(account)
    await world.advance("2024-02-10")

    assert [one.code for one in outcomes] == [consumption.RecordOutcome.ACCEPTED] * 2
    assert single.code == consumption.RecordOutcome.ACCEPTED
    assert [r.state for r in pending.usage_records] == [consumption.UsageRecord.PENDING] * 3
    assert listed == ["usageResources/data", "usageResources/sms"]
    assert too_early == []
    assert await owed(world, account) == {"data": (100, 125), "sms": (500, 375)}


async def test_the_overage_of_a_plan_is_a_line_of_its_own(sandbox):
    """X8: two gigabytes over, at 10."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="data", grant="5", rate="10"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "data", "2024-01-20", 7)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"data": (2, 20)}


@pytest.mark.capability("M40", "M44")
async def test_volume_tiers_are_picked_by_the_overage_in_the_buyers_currency(sandbox):
    """X14: 5,000 minutes at 0.0041 CHF; 50 TB with 10 included, 40 at 12.21 USD."""
    world = await sandbox("2024-01-31", currency="CHF")
    cpu = (
        ("0", "1000", "0.0033"),
        ("1000", "3000", "0.0037"),
        ("3000", "6000", "0.0041"),
        ("6000", None, "0.0049"),
    )
    await world.product("compute", Metered(resource="cpu", rate="0.0033", tiers=cpu))
    zurich = await world.account("zurich", zone="Europe/Zurich")
    world.currency = "USD"
    storage = (("10", "25", "10.17"), ("25", "100", "12.21"))
    await world.product(
        "storage", Metered(resource="disk", grant="10", rate="10.17", tiers=storage)
    )
    boston = await world.account("boston", zone="America/New_York")
    [computing] = await world.sell(zurich, line("compute", "2024-01-01"))
    [storing] = await world.sell(boston, line("storage", "2024-01-01"))

    found = await world.discover("storage", "disk", quantity=number(40))
    absent = await world.discover("compute", "cpu")

    await world.use(computing, "cpu", "2024-01-15", 5000)
    await world.use(storing, "disk", "2024-01-15", 50)
    await world.advance("2024-02-10")

    assert figure(found.amount) == Decimal("488.40")
    assert found.terms.tier_entry == "rateCards/tiers/entries/storage-disk-USD"
    assert "RATE_NOT_FOUND" in str(absent.status)
    assert not absent.HasField("terms")
    assert await owed(world, zurich) == {"cpu": (5000, Decimal("20.50"))}
    assert await owed(world, boston) == {"disk": (40, Decimal("488.40"))}
    with pytest.raises(Exception, match="RATE_NOT_FOUND"):
        await world.sell(boston, line("compute", "2024-01-01"))


@pytest.mark.capability("M114", "M116")
async def test_a_wallet_shows_usage_as_soon_as_it_is_recorded(sandbox):
    """X22: 10,000 images, 300 used."""
    world = await sandbox("2024-01-31")
    await world.product("essentials", Metered(resource="images", grant="10000", rate="1"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("essentials", "2024-01-01"))

    sold = await world.wallet(account, "images")
    await world.use(asset, "images", "2024-01-01T00:00", 300)
    wallet = await world.wallet(account, "images")
    entries = await world.entries(wallet)

    assert figure(sold.balance) == figure(sold.posted_balance) == 10000
    assert wallet.as_of_time == stamp(moment("2024-01-31"))
    assert sum(figure(entry.amount) for entry in entries) == figure(wallet.posted_balance)

    assert figure(wallet.balance) == 9700
    assert figure(wallet.posted_balance) == 10000
    assert figure(wallet.used_quantity) == 300
    assert figure(wallet.percent_used) == 3
    assert figure(wallet.estimated_amount) == 0


async def test_the_balance_moves_to_overage_and_says_what_it_will_cost(sandbox):
    """X24: 4,100 texts of 4,000."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="sms", grant="4000", rate="0.75"))
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "sms", "2024-01-02", 4100)
    wallet = await world.wallet(account, "sms")

    assert (figure(wallet.balance), figure(wallet.overage_quantity)) == (0, 100)
    assert (figure(wallet.estimated_amount), wallet.currency_code) == (75, "USD")


@pytest.mark.capability("M22", "M97")
async def test_overage_is_charged_or_free_as_its_policy_says(sandbox):
    """§3.3: 4,500 of 4,000 at 0.75."""
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="charged", grant="4000", rate="0.75"),
        Metered(resource="free", grant="4000", overage="FREE"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    await world.use(asset, "charged", "2024-01-02", 4500)
    await world.use(asset, "free", "2024-01-02", 4500)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"charged": (500, 375), "free": (500, 0)}


@pytest.mark.capability("M20")
async def test_a_day_adds_up_or_keeps_its_peak(sandbox):
    """§3.1: 10, 25 and 15 GB on one day."""
    world = await sandbox("2024-01-31")
    await world.product(
        "plan",
        Metered(resource="added", rate="1"),
        Metered(resource="peak", rate="1", method="PEAK"),
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))

    for hour, quantity in (("08", 10), ("12", 25), ("18", 15)):
        for resource in ("added", "peak"):
            await world.use(asset, resource, f"2024-01-02T{hour}:00", quantity)
    await world.advance("2024-02-10")

    assert await owed(world, account) == {"added": (50, 50), "peak": (25, 25)}


@pytest.mark.capability("M66")
async def test_what_was_quoted_is_what_is_rated(sandbox):
    """0.50 negotiated to 0.45; ten of the product grant ten times as much."""
    world = await sandbox("2024-01-31")
    await world.product("plan", Metered(resource="calls", grant="100", rate="0.50"))
    account = await world.account("ann")
    rate = types.Rate(value=number("0.45"), currency_code="USD")
    negotiated = quotes.NegotiatedRate(usage_resource="usageResources/calls", rate=rate)

    ten = line("plan", "2024-01-01", quantity=10, negotiated=[negotiated])
    quote = await world.quote(account, ten)
    [shown] = quote.lines[0].resources
    [asset] = await world.sell(account, ten)
    await world.use(asset, "calls", "2024-01-02", 1100)
    await world.advance("2024-02-10")

    assert figure(shown.terms.rate.value) == Decimal("0.45")
    assert shown.terms.rate_negotiated
    assert [figure(grant.quantity) for grant in shown.grants] == [1000]
    assert await owed(world, account) == {"calls": (100, 45)}


@pytest.mark.capability("M61.resources", "M61.grants", "M61.rates", "M61.tiers", "M61.policies")
async def test_a_quote_shows_what_it_would_mean(sandbox):
    world = await sandbox("2024-01-31")
    calls = Metered(
        resource="calls",
        grant="100",
        refresh="MONTH",
        max_rollovers=1,
        rate="2",
        tiers=(("0", "50", "3"),),
    )
    await world.product("plan", calls, Metered(resource="texts", overage="FREE"))
    account = await world.account("ann")

    quote = await world.quote(account, line("plan", "2024-01-01", quantity=2))
    [shown, texts] = quote.lines[0].resources

    assert [shown.usage_resource, texts.usage_resource] == [
        "usageResources/calls",
        "usageResources/texts",
    ]
    assert (figure(shown.terms.rate.value), shown.terms.rate.currency_code) == (2, "USD")
    assert [figure(one.adjustment.value) for one in shown.terms.tiers.tiers] == [3]
    [grant] = shown.grants
    assert (figure(grant.quantity), grant.unit_of_measure) == (200, "unitsOfMeasure/calls-unit")
    assert (grant.refresh_policy, grant.refresh_policy_version) == (
        "refreshPolicies/every-1-month",
        1,
    )
    assert (grant.rollover_policy, grant.rollover_policy_version) == ("rolloverPolicies/up-to-1", 1)
    assert (shown.rating_frequency_policy, shown.rating_frequency_policy_version) == (
        "ratingFrequencyPolicies/month-3-next_period",
        1,
    )
    assert (shown.aggregation_policy, shown.aggregation_policy_version) == (
        "aggregationPolicies/sum-day-combine_unspecified",
        1,
    )
    assert (texts.overage_policy, texts.overage_policy_version) == ("overagePolicies/free", 1)
    assert await world.wallets(account) == []  # nothing is sold yet


@pytest.mark.capability("M99.total")
async def test_every_line_can_be_traced_back_to_its_records(sandbox):
    world = await sandbox("2024-01-31")
    await world.product(
        "plan", Metered(resource="calls", grant="100", rate="2", tiers=(("0", "50", "3"),))
    )
    account = await world.account("ann")
    [asset] = await world.sell(account, line("plan", "2024-01-01"))
    for number_, quantity in enumerate((40, 50, 35), start=1):
        await world.use(asset, "calls", f"2024-01-{number_:02}T10:00", quantity)
    await world.advance("2024-02-10")

    [owed_line] = await world.liable(account)
    trace = await world.trace(owed_line)
    [source] = trace.sources
    cells = [one.usage_summary for one in source.usage_summaries]
    drawn = [sum(figure(d.quantity) for d in one.drawn_from) for one in source.usage_summaries]
    records = await records_of(world, account, cells)

    ratable = source.ratable_summary
    assert figure(ratable.net_unit_rate) * figure(ratable.overage_quantity) == 3 * 25
    assert figure(owed_line.exact_amount) == 75
    assert figure(source.ratable_summary.amount) == 75
    assert [enum_name(step, "element") for step in source.ratable_summary.waterfall] == [
        "BASE_RATE",
        "VOLUME_TIER",
        "AMOUNT",
    ]
    assert [figure(cell.quantity) for cell in cells] == [40, 50, 35]
    assert [figure(cell.overage_quantity) for cell in cells] == [0, 0, 25]
    assert drawn == [40, 50, 10]
    assert sorted(figure(record.quantity) for record in records) == [35, 40, 50]
    assert {record.outcome.liable_summary for record in records} == {owed_line.name}
    assert {record.state for record in records} == {consumption.UsageRecord.LIABLE}


@pytest.mark.capability("M88")
async def test_small_quantities_are_kept_and_the_first_day_counts_from_midnight(sandbox):
    world = await sandbox("2024-01-10T15:00")
    await world.product("plan", Metered(resource="data", rate="1000000", scale=6))
    account = await world.account("ann", zone="America/New_York")
    [asset] = await world.sell(account, line("plan", "2024-01-10"))

    await world.use(asset, "data", "2024-01-10T05:00", "0.000001")  # midnight in New York
    [early] = await world.record([usage(asset, "data", "2024-01-10T04:59:59", "0.000001")])
    await world.advance("2024-02-10")

    assert early.code == consumption.RecordOutcome.REJECTED
    assert await owed(world, account) == {"data": (Decimal("0.000001"), 1)}


async def records_of(world, account: str, cells) -> list[consumption.UsageRecord]:
    found: list[consumption.UsageRecord] = []
    for cell in cells:
        answer = await world.client.consumption.ListUsageRecords(
            consumption.ListUsageRecordsRequest(parent=account, usage_summary=cell.name)
        )
        found += answer.usage_records
    return found
