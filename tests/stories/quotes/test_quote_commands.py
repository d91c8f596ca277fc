"""Quotes by the command line: negotiated from a file, approved, previewed, ordered."""

from pathlib import Path

import pytest

from tests.service import Service
from tests.stories.selling.shells import Shell, open_shell, words

PRODUCT = """
product: {name: products/voice, usage_model_type: ANCHOR}
unit_classes: [{name: unitClasses/talk, kind: USAGE, default_unit: unitsOfMeasure/talk-minute}]
units_of_measure: [{name: unitsOfMeasure/talk-minute, unit_class: unitClasses/talk, scale: 2}]
usage_resources: [{name: usageResources/calls, category: USAGE, unit_class: unitClasses/talk}]
rate_cards: [{name: rateCards/list, type: BASE}]
price_book: {name: priceBooks/standard, rate_cards: [rateCards/list]}
product_usage_resources:
  - product_usage_resource: {usage_resource: usageResources/calls}
    grants:
      - product_usage_grant:
          name: products/voice/grants/included
          quantity: 100
          max_increase_percent: 20
        refresh: {interval: {unit: MONTH, count: 1}}
    rate_card_entries:
      - name: rateCards/list/entries/voice-calls
        currency_code: USD
        rate: {value: 0.10, currency_code: USD}
        max_discount_percent: 15
"""
COMMIT = """
product: {name: products/commit, usage_model_type: QUANTITY_COMMITMENT}
product_usage_resources:
  - product_usage_resource: {usage_resource: usageResources/calls}
    grants:
      - product_usage_grant: {name: products/commit/grants/calls, quantity: 500, type: COMMIT}
    rate_card_entries:
      - name: rateCards/list/entries/commit-calls
        currency_code: USD
        rate: {value: 0.05, currency_code: USD}
"""
DEAL = """
negotiated_rates:
  - {usage_resource: usageResources/calls, rate: {value: 0.08}}
negotiated_grants:
  - {product_usage_grant: products/voice/grants/included, quantity: 150}
"""


@pytest.fixture
async def shell(service: Service, tmp_path: Path) -> Shell:
    """A new tenant at 1 January 2026, with a product and its limits."""
    return await open_shell(service, tmp_path, {"voice.yaml": PRODUCT, "deal.yaml": DEAL})


async def test_a_quote_is_negotiated_approved_previewed_and_ordered(shell: Shell) -> None:
    created = await shell.done("quote create acme")
    negotiated = await shell.done("quote negotiate acme deal.yaml")
    early = await shell.refused("order create acme")
    preview = await shell.done("quote preview acme calls=250")
    approved = await shell.done("quote approve acme --reason 'a big customer'")
    ordered = await shell.done("order create acme")
    await shell.done("order activate acme")
    wallet = await shell.done("wallet show acme")

    assert ["voice", "1", "2026-01-01", "–", "calls", "100", "0.1", "USD"] in words(created)
    assert "usage order create" in created
    assert "needs approval: line 1, usageResources/calls: 20 % off; the catalog allows 15 %" in (
        negotiated
    )
    assert "50 % more is granted; the catalog allows 20 %" in negotiated
    assert "usage quote approve" in negotiated
    assert "150 (of 100)" in negotiated
    assert "0.08 USD, negotiated" in negotiated
    assert "ApproveQuote" in early or "quote approve" in early
    assert "8 USD" in preview
    assert ["calls", "250", "150", "100", "8", "USD"] in words(preview)
    assert "a big customer" in approved
    assert "0.08 USD, negotiated" in ordered
    assert ["calls", "150", "150", "0"] in [row[:4] for row in words(wallet)]


async def test_a_quote_is_rejected_repriced_cloned_and_withdrawn(shell: Shell) -> None:
    await shell.done("quote create acme --negotiated deal.yaml")
    rejected = await shell.done("quote reject acme --reason 'too cheap'")
    repriced = await shell.read("quote reprice acme")
    expired = await shell.done("quote expire acme --at 2026-02-01")
    withdrawn = await shell.done("quote withdraw acme --reason gone")
    cloned = await shell.read(f"quote clone {repriced['name']}")
    listed = await shell.done("quote list acme")

    assert "rejected by" in rejected
    assert "too cheap" in rejected
    assert repriced["state"] == "WAITING_FOR_APPROVAL"
    assert "expires 2026-02-01" in expired
    assert "withdrawn by" in withdrawn
    assert cloned["cloned_from"] == repriced["name"]
    states = [row[1] for row in words(listed) if len(row) > 3]
    assert sorted(states) == ["state", "waiting_for_approval", "withdrawn"] or "withdrawn" in listed


async def test_which_line_is_negotiated_has_to_be_clear(shell: Shell) -> None:
    await shell.done("quote create acme --product voice --product voice")

    unclear = await shell("quote negotiate acme deal.yaml")
    beyond = await shell("quote negotiate acme deal.yaml --line 3")
    second = await shell.read("quote negotiate acme deal.yaml --line 2")

    assert (unclear.code, beyond.code) == (2, 2)
    assert "--line: 1 voice, 2 voice" in unclear.err
    assert "there is no line 3" in beyond.err
    assert [len(one.get("negotiated_grants", [])) for one in second["lines"]] == [0, 1]


async def test_an_asset_is_repriced_and_a_commitment_is_linked(shell: Shell) -> None:
    (shell.home / "commit.yaml").write_text(COMMIT)
    await shell.done("setup commit.yaml")
    await shell.done("sell acme --product voice")
    [anchor] = (await shell.read("account show acme"))["assets"]
    sold = await shell.done("sell acme --product commit")
    both = (await shell.read("account show acme"))["assets"]
    [commit] = [one for one in both if one["name"] != anchor["name"]]

    tried = await shell.done(f"asset link {commit['name']} {anchor['name']} --dry-run")
    linked = await shell.done(f"asset link {commit['name']} {anchor['name']}")
    repriced = await shell.done("asset reprice acme --from 2026-01-01 --dry-run")

    assert "LinkCommitment links it" in " ".join(sold.split())
    assert "would be linked to" in tried
    assert f"is linked to {anchor['name']}" in linked
    assert "unchanged" in repriced
