"""A commitment to spend by the command line: set up, sold, linked, and seen with its wallet."""

from pathlib import Path

import pytest

from tests.service import Service
from tests.stories.selling.shells import VOICE, Shell, open_shell, words

SPEND = """
product: {name: products/promise, usage_model_type: MONETARY_COMMITMENT}
usage_resources:
  - {name: usageResources/spend, category: CURRENCY, unit_class: unitClasses/currency,
     unit_of_measure: unitsOfMeasure/USD}
product_usage_resources:
  - product_usage_resource: {usage_resource: usageResources/spend}
    grants:
      - product_usage_grant:
          {name: products/promise/grants/month, quantity: 100, type: COMMIT, spend_cap: 200}
        refresh: {interval: {unit: MONTH, count: 1}}
  - product_usage_resource: {usage_resource: usageResources/calls}
    rate_card_entries:
      - name: rateCards/discounts/entries/promise-calls
        currency_code: USD
        tiers: {tiers: [{adjustment: {kind: PERCENTAGE, value: 20}}]}
"""
CALLS = "at,minutes\n2026-01-05T09:30:00Z,850\n"


@pytest.fixture
async def shell(service: Service, tmp_path: Path) -> Shell:
    voice = VOICE.replace(
        "rate_cards: [{name: rateCards/list, type: BASE}]",
        "rate_cards: [{name: rateCards/list, type: BASE}, {name: rateCards/discounts, type: TIER}]",
    ).replace("rate_cards: [rateCards/list]", "rate_cards: [rateCards/list, rateCards/discounts]")
    files = {"voice.yaml": voice, "promise.yaml": SPEND, "calls.csv": CALLS}
    return await open_shell(service, tmp_path, files)


@pytest.mark.capability("M70.spend")
async def test_a_promise_is_linked_and_its_wallet_shows_what_is_owed(shell: Shell) -> None:
    """750 minutes beyond 100 cost 0.08 each: 60 are spent of 100, and 100 are owed."""
    await shell.done("setup promise.yaml")
    await shell.done("sell acme --product voice")
    await shell.done("sell acme --product promise")
    anchor, promise = (await shell.read("account show acme"))["assets"]
    linked = await shell.done(f"asset link {promise['name']} {anchor['name']}")
    await shell.done("clock advance 2026-01-20")
    await shell.done("record calls.csv --account acme --time at --measure minutes=calls")

    shown = await shell.done("wallet show acme")
    [spend] = [
        one
        for wallet in (await shell.read("wallet show acme"))["wallets"]
        for one in wallet.get("committed_spend", [])
    ]

    assert "is linked" in linked
    assert ["Jan", "2026", "100", "60", "40", "200", "100"] in words(shown)
    assert spend["owed_amount"] == {"value": "100"}
