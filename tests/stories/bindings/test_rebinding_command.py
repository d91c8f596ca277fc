"""An asset is bound to another target by the command line."""

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
      - product_usage_grant: {name: products/voice/grants/included, quantity: 100}
        refresh: {interval: {unit: MONTH, count: 1}}
    rate_card_entries:
      - name: rateCards/list/entries/voice-calls
        currency_code: USD
        rate: {value: 0.10, currency_code: USD}
"""


@pytest.mark.capability("M74.rebind")
async def test_an_asset_is_bound_to_the_account_and_its_history_says_so(
    service: Service, tmp_path: Path
) -> None:
    shell: Shell = await open_shell(service, tmp_path, {"voice.yaml": PRODUCT})
    await shell.done("sell acme --product voice")
    [asset] = (await shell.read("account show acme"))["assets"]

    tried = await shell.read(f"asset rebind {asset['name']} account --dry-run")
    before = (await shell.read("account show acme"))["assets"]
    done = await shell.done(f"asset rebind {asset['name']} account --reason 'one pool'")
    refused = await shell.refused(f"asset rebind {asset['name']} self")
    shown = await shell.done("asset show acme")
    history = await shell.done("asset history acme")

    assert tried["binding"] == "ACCOUNT"
    assert before == [asset]
    assert "is bound to account" in " ".join(done.split())
    assert ["resource", "wallet"] in words(done) or "calls" in done
    assert "sell another asset for the next target" in " ".join(refused.split())
    assert "ACCOUNT" in shown.upper()
    assert "one pool" in history
    assert "accounts/acme" in "".join(history.split())
