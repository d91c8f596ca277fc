"""A whole life by the command line: tenant, credential, sale with its own rate, clock, lines."""

import re
from pathlib import Path

import pytest

from tests.service import Service
from tests.stories.selling.shells import VOICE, Shell, open_shell, words

DEAL = """
negotiated_rates:
  - {usage_resource: usageResources/calls, rate: {value: 0.08}}
attributes: {region: eu}
"""
CALLS = "at,minutes\n2026-01-05T09:30:00Z,80\n2026-01-20T17:00:00Z,45.5\n"


@pytest.fixture
async def shell(service: Service, tmp_path: Path) -> Shell:
    """A new tenant at 1 January 2026, with a product, and its administrator's key."""
    files = {"voice.yaml": VOICE, "deal.yaml": DEAL, "calls.csv": CALLS}
    return await open_shell(service, tmp_path, files)


async def test_a_sale_with_its_own_rate_to_its_line(shell: Shell) -> None:
    nothing_yet = await shell.done("lines acme")
    quoted = await shell.done("quote create acme --quantity 2 --negotiated deal.yaml")
    [terms] = (await shell.read("quote show acme"))["lines"]
    await shell.done("order create acme")
    activated = await shell.done("order activate acme")
    await shell.done("clock advance 2026-01-31")
    (shell.home / "calls.csv").write_text(CALLS.replace("80", "180"))
    await shell.done("record calls.csv --account acme --time at --measure minutes=calls")

    assert "usage sell acme" in nothing_yet
    terms_of_line = "calls voice 2 2026-01-01 – 200 0.08 USD, negotiated 0.1 USD"
    row = terms_of_line.split()
    assert row in words(quoted)
    assert terms["attributes"] == {"region": "eu"}
    assert row in words(activated)
    # 225.5 of 200 that are included: 25.5 × 0.08.
    assert ["calls", "0", "200", "225.5", "25.5", "2.04", "USD"] in words(
        await shell.done("wallet show acme")
    )
    assert "0.08 USD, negotiated; from the asset" in await shell.done(
        "rates discover calls --account acme"
    )

    await shell.done("clock advance 2026-02-04")
    [line] = (await shell.read("lines acme"))["liable_summaries"]
    assert (line["exact_amount"], line["amount"]["nanos"]) == ({"value": "2.04"}, 40_000_000)
    traced = await shell.read("trace acme --resource calls")
    assert traced["liable_summary"]["name"] == line["name"]
    assert ["calls", "25.5", "0.1", "→", "0.08", "USD", "2.04", "USD"] in words(
        await shell.done("summary rated acme")
    )
    assert ["2026-01-20", "calls", "1", "45.5", "45.5", "25.5", "drawn"] in words(
        await shell.done("summary list acme")
    )
    marked = await shell.done("invoice mark acme --invoice INV-7 --from 2026-01-01")
    assert ("INV-7" in marked, "2.04 USD" in marked) == (True, True)
    [line] = (await shell.read("lines acme"))["liable_summaries"]
    assert (line["state"], line["invoice"]) == ("INVOICED", "INV-7")


async def test_usage_that_is_not_final_is_visible_until_its_line_comes(shell: Shell) -> None:
    await shell.done("sell acme")
    await shell.done("clock advance 2026-02-02")
    await shell.done("record calls.csv --account acme --time at --measure minutes=calls")
    waiting = ["calls", "2", "125.5", "Jan", "2026", "2026-02-04"]

    # February has no usage, and January's is neither final nor in a line.
    assert waiting in words(await shell.done("wallet show acme"))
    assert waiting in words(await shell.done("wallet show acme --resource calls"))
    [found] = (await shell.read("wallet show acme"))["open_usage"]
    assert (found["sum_quantity"], found["record_count"]) == ({"value": "125.5"}, "2")
    assert found["period_start_time"] == "2026-01-01T00:00:00Z"
    assert found["final_time"] == found["line_time"] == "2026-02-04T00:00:00Z"
    for command in ("lines acme", "trace acme"):
        assert ["calls", "Jan", "2026", "125.5", "2026-02-04", "2026-02-04"] in words(
            await shell.done(command)
        )

    # The refusal says when the line comes, and its advice leads there.
    refused = await shell.refused("trace acme --resource calls")
    assert "the first comes at 2026-02-04 (UTC)" in refused
    [advice] = re.findall(r"`usage (clock advance \S+)`", refused)
    await shell.done(advice)
    assert "2.55 USD" in await shell.done("trace acme --resource calls")
    assert (await shell.read("wallet show acme"))["open_usage"] == []
    assert (await shell.read("lines acme"))["to_come"] == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("", "billed every month, on day 1 of a month"),
        ("--billing-day 31", "billed every month, on day 31 of a month"),
        ("--billing-every quarter --billing-calendar", "billed every quarter, by the calendar"),
        ("--billing-every half-years --billing-day 5", "billed every half-year, on day 5 of"),
        ("--billing-every week", "billed every week, by the calendar"),
        (
            "--billing-every '2 weeks' --billing-from 2026-02-18",
            "billed every 2 weeks, counted from 2026-02-18",
        ),
    ],
)
async def test_an_account_tells_when_it_is_billed(shell: Shell, options: str, told: str) -> None:
    made = await shell.done(
        f"account create kiel --currency USD --time-zone Europe/Berlin {options}"
    )

    assert told in made
    assert told in await shell.done("account show kiel")


async def test_an_interval_that_is_none_is_refused_before_it_is_sent(shell: Shell) -> None:
    ended = await shell("account create kiel --currency USD --time-zone UTC --billing-every moon")

    assert (ended.code, "'moon' is not an interval" in ended.err) == (2, True)


async def test_lines_of_two_months_are_told_apart_by_days_of_the_account(shell: Shell) -> None:
    await shell.done("account create kiel --currency USD --time-zone Europe/Berlin")
    await shell.done("sell kiel --start 2026-01-01")
    await shell.done("clock advance 2026-02-02")
    both = "at,minutes\n2026-01-05T09:30:00Z,101\n2026-02-01T09:30:00Z,102\n"
    (shell.home / "calls.csv").write_text(both)
    await shell.done("record calls.csv --account kiel --time at --measure minutes=calls")
    await shell.done("clock advance 2026-03-04")

    several = await shell.refused("trace kiel --resource calls")
    assert [month in several for month in ("calls, Jan 2026", "calls, Feb 2026")] == [True, True]
    # February begins at 23:00 UTC of 31 January.
    assert "0.20 USD  calls, Feb 2026" in await shell.done("trace kiel --from 2026-02-01")
    assert "0.10 USD  calls, Jan 2026" in await shell.done("trace kiel --until 2026-02-01")


async def test_days_that_are_rated_wait_for_the_line_of_their_month(shell: Shell) -> None:
    file = shell.home / "voice.yaml"
    daily = VOICE.replace("voice", "daily").replace("{period: MONTH}", "{period: DAY}")
    file.write_text(daily.replace("refresh: {interval: {unit: MONTH, count: 1}}", "priority: 1"))
    file.write_text(re.sub(r"\n    grants:.*\n.*\n        priority: 1", "", file.read_text()))
    await shell.done("setup voice.yaml")
    await shell.done("sell acme --product daily")
    await shell.done("clock advance 2026-01-06")
    (shell.home / "calls.csv").write_text("at,minutes\n2026-01-05T09:30:00Z,80\n")
    await shell.done("record calls.csv --account acme --time at --measure minutes=calls")
    await shell.done("clock advance 2026-01-20")

    assert (await shell.read("wallet show acme"))["open_usage"] == []
    [coming] = (await shell.read("lines acme"))["to_come"]
    assert (coming["rated_amounts"], coming["record_count"]) == ({"USD": "8"}, "0")
    await shell.done(f"clock advance {coming['line_time']}")
    found = await shell.read("lines acme")
    assert [line["exact_amount"] for line in found["liable_summaries"]] == [{"value": "8"}]
    assert found["to_come"] == []


async def test_what_several_fit_is_listed_and_what_is_missing_is_advised(shell: Shell) -> None:
    none = await shell.refused("order create acme")
    quotes = [await shell.read("quote create acme") for _ in range(2)]
    several = await shell.refused("order create acme")
    for quote in quotes:
        await shell.done(f"order create {quote['name']}")
    orders = (await shell.read("order list acme"))["orders"]
    which = await shell.refused("order activate acme")
    await shell.done(f"order activate {orders[0]['name']}")
    # One draft is left, and fits.
    await shell.done("order activate acme")

    assert "`usage quote create acme` creates one" in none
    assert "2 open quotes of accounts/acme fit" in several
    assert [quote["name"] in several for quote in quotes] == [True, True]
    assert [order["name"] in which for order in orders] == [True, True]
    listed = await shell.refused("wallet show acme --resource calls")
    wallets = (await shell.read("wallet show acme"))["wallets"]
    assert [wallet["name"] in listed for wallet in wallets] == [True, True]
    unclear = await shell.refused("preview acme calls=5")
    bought = (await shell.read("account show acme"))["assets"]
    assert [asset["name"].rpartition("/")[2] in unclear for asset in bought] == [True, True]
    assert "--asset-column" not in unclear
    ended = await shell(f"preview acme calls=105 --asset {bought[0]['name']}")
    assert (ended.code, "0.5 USD" in ended.out) == (0, True)


async def test_a_credential_can_do_what_its_role_says_until_it_is_revoked(shell: Shell) -> None:
    made = await shell.read("credential create --role wallet-user --name reader")
    reader = Shell(shell.home, shell.service, made["key"])

    assert "acme" in await reader.done("account list")
    await shell.done("sell acme")
    assert ["calls", "100", "100", "0", "0", "0.00", "USD"] in words(
        await reader.done("wallet show acme")
    )
    await reader.done("lines acme")
    assert "PERMISSION_MISSING" in await reader.refused("quote create acme --start 2026-01-01")
    higher = await shell.refused("credential create --role operator")
    assert "ESCALATION" in higher
    await shell.done(f"credential revoke {made['credential']['name']}")
    tenants = (await shell.read("tenant list"))["tenants"]
    assert f"tenants/{shell.tenant}" in [tenant["name"] for tenant in tenants]
    # The kept key of the operator goes nowhere else.
    elsewhere = await shell("tenant list --address 127.0.0.1:1 --key k")
    assert elsewhere.code == 3


async def test_units_and_rates_of_the_catalog(shell: Shell) -> None:
    units = await shell.done("units list --class talk")
    listed = await shell.done("rates list --product voice --currency USD")
    found = await shell.done("rates discover calls --currency USD --quantity 25.5")
    refused = await shell.refused("rates discover calls --currency EUR")

    assert ["talk-minute", "talk", "1", "2", "active"] in words(units)
    assert ["list", "/", "voice-calls", "voice", "calls", "0.1", "USD", "–", "–", "active"] in (
        words(listed)
    )
    assert "amount: 2.55 USD" in found
    assert "RATE_NOT_FOUND" in refused
    assert (await shell("rates discover calls")).code == 2


async def test_the_clock_moves_forward_only(shell: Shell) -> None:
    moved = await shell.read("clock advance 2026-01-02T06:00:00+02:00")

    assert moved["clock_current_time"] == "2026-01-02T04:00:00Z"
    assert f"tenants/{shell.tenant}: 2026-01-02 04:00 UTC, sandbox" in await shell.done(
        "clock show"
    )
    assert "CLOCK_BACKWARD" in await shell.refused("clock advance 2026-01-01")
    assert (await shell("clock advance soon")).code == 2
    assert (await shell("sell acme --start soon")).code == 2


async def test_a_file_may_name_assets_by_the_ids_of_their_owner(shell: Shell) -> None:
    await shell.done("sell acme --external-id crm-1")
    await shell.done("quote create acme --external-id crm-2")
    await shell.done("order create acme")
    await shell.done("order activate acme")
    bought = (await shell.read("account show acme"))["assets"]
    names = {one["external_id"]: one["name"].rpartition("/")[2] for one in bought}
    rows = ["id,asset,at,minutes", "a,crm-1,2026-01-05,80", "b,external:crm-2,2026-01-05,30"]
    rows += [f"c,{names['crm-2']},2026-01-06,5", f"a,{names['crm-1']},2026-01-05,80"]
    (shell.home / "calls.csv").write_text("\n".join(rows) + "\n")
    await shell.done("clock advance 2026-01-31")
    record = "record calls.csv --account acme --time at --measure minutes=calls --id id"
    report = await shell.read(f"{record} --asset-column asset --time-zone UTC")
    (shell.home / "calls.csv").write_text("id,at,minutes\na,2026-01-05,80\nd,2026-01-07,1\n")
    again = await shell.read(f"{record} --asset crm-1 --time-zone UTC")

    assert (report["accepted"], report["duplicates"]) == (3, 1)
    assert (again["accepted"], again["duplicates"]) == (1, 1)
    wallets = (await shell.read("wallet show acme"))["wallets"]
    # Of 100 that each asset includes, 81 and 35 are used.
    assert sorted(one["balance"]["value"] for one in wallets) == ["19", "65"]
    listed = await shell.done("account show acme")
    assert [names["crm-1"], "crm-1", "voice"] in [row[:3] for row in words(listed)]
    previewed = await shell.done("preview acme calls=30 --asset crm-1 --at 2026-01-20")
    # 19 of 30 are left; 11 cost 0.10.
    assert "1.1 USD" in previewed


async def test_the_terms_of_an_asset_stand_beside_the_catalog_and_its_history(shell: Shell) -> None:
    await shell.done("quote create acme --negotiated deal.yaml")
    of_quote = await shell.done(f"details {(await shell.read('quote show acme'))['name']}")
    await shell.done("order create acme")
    await shell.done("order activate acme")

    shown = await shell.done("asset show acme")
    history = await shell.done("asset history acme")
    [detail] = (await shell.read("asset show acme --on 2026-01-01"))["usage_details"]
    [change] = (await shell.read("asset history acme --resource calls"))["asset_changes"]

    rate = ["rate", "0.08", "USD", "0.1", "USD", "yes"]
    assert rate in words(of_quote)
    assert rate in words(shown)
    assert ["grant", "included", "100", "100", "yes"] in words(shown)
    assert "sale of" in history
    assert ["calls", "rate", "–", "0.08", "USD"] in words(history)
    assert detail["resource"]["terms"]["rate"]["value"] == {"value": "0.08"}
    assert detail["resource"]["terms"]["catalog_rate"]["value"] == {"value": "0.1"}
    assert change["act"] == "SALE"
    assert change["asset"] == detail["asset"]
    assert (await shell.read("asset history acme --on 2025-12-31"))["asset_changes"] == []
    assert (await shell.read("details acme"))["usage_details"] == []
