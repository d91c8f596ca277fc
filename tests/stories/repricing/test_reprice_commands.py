"""Reprice runs and following assets by the command line."""

from pathlib import Path

import pytest

from tests.service import Service
from tests.stories.selling.shells import Shell, open_shell

PRODUCT = """
product: {name: products/voice, usage_model_type: ANCHOR}
unit_classes: [{name: unitClasses/talk, kind: USAGE, default_unit: unitsOfMeasure/talk-minute}]
units_of_measure: [{name: unitsOfMeasure/talk-minute, unit_class: unitClasses/talk, scale: 2}]
usage_resources: [{name: usageResources/calls, category: USAGE, unit_class: unitClasses/talk}]
rate_cards: [{name: rateCards/list, type: BASE}]
price_book: {name: priceBooks/standard, rate_cards: [rateCards/list]}
product_usage_resources:
  - product_usage_resource: {usage_resource: usageResources/calls}
    rate_card_entries:
      - name: rateCards/list/entries/voice-calls
        currency_code: USD
        rate: {value: 0.10, currency_code: USD}
        end_date: 2026-02-01
      - name: rateCards/list/entries/voice-calls-2
        currency_code: USD
        rate: {value: 0.25, currency_code: USD}
        start_date: 2026-02-01
        end_date: 2026-03-01
"""
USED = "at,calls\n2026-02-05T09:30:00Z,100\n"


@pytest.fixture
async def shell(service: Service, tmp_path: Path) -> Shell:
    """Two accounts with an asset each; from February on the catalog asks 0.25 instead of 0.10."""
    made = await open_shell(service, tmp_path, {"voice.yaml": PRODUCT, "calls.csv": USED})
    await made.done("account create bolt --currency USD --time-zone UTC")
    for account in ("acme", "bolt"):
        await made.done(f"sell {account} --product voice --start 2026-01-01")
    await made.done("clock advance 2026-02-06")
    await made.done("record calls.csv --account acme --time at --measure calls=calls")
    return made


async def test_a_dry_run_tells_the_money_and_is_repeated_for_real(shell: Shell) -> None:
    tried = await shell.done("asset reprice-all --from 2026-02-01 --dry-run")
    told = await shell.read("asset reprice-all --from 2026-02-01 --dry-run")
    done = await shell.done(f"asset reprice-all --repeat {told['reprice_run']['name']}")
    again = await shell.done("asset reprice-all --from 2026-02-01 --account bolt")
    unclear = await shell("asset reprice-all --dry-run")

    assert "15 USD in open periods, as an estimate" in tried
    assert "2 of 2 assets of 2 accounts would be repriced; nothing was changed" in tried
    assert "--repeat repriceRuns/" in tried
    amounts = [one for item in told["items"] for one in item.get("amounts", [])]
    assert [(one["amount_before"], one["amount_after"]) for one in amounts] == [
        ({"value": "10"}, {"value": "25"})
    ]
    assert "0.25 USD" in done
    assert "2 of 2 assets of 2 accounts repriced" in done
    assert "0 of 1 assets of 1 accounts repriced" in again
    assert (unclear.code, "--repeat for a dry run" in unclear.err) == (2, True)


async def test_an_account_that_is_refused_is_named_and_changes_the_exit_code(shell: Shell) -> None:
    await shell.done("asset reprice bolt --from 2026-02-03")

    ended = await shell("asset reprice-all --from 2026-02-01")

    assert ended.code == 4
    assert "bolt: " in ended.out
    assert "reprice it from then on or later" in " ".join(ended.out.split())
    assert "1 of 1 assets of 1 accounts repriced; 1 refused" in ended.out


async def test_a_sale_that_follows_the_catalog_says_so(shell: Shell) -> None:
    sold = await shell.done("quote create acme --product voice --start 2026-02-01 --follow-catalog")
    await shell.done("account create corp --currency USD --time-zone UTC")
    await shell.done("sell corp --product voice --start 2026-02-01 --follow-catalog")
    before = await shell.done("asset show corp")
    await shell.done("clock advance 2026-03-02")
    held = await shell.done("asset show corp")
    history = await shell.done("asset history corp")

    assert "the rates of voice follow the catalog" in sold
    assert "follow the catalog" in before
    assert "gap" not in before
    assert "follow the catalog, which has a gap: the last terms hold" in " ".join(held.split())
    assert "catalog_gap" in history
