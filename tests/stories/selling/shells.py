"""A shell: the command line of one person, with files of its own."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.clients.command_line import Ended, usage
from tests.service import Service

VOICE = """
product: {name: products/voice, usage_model_type: ANCHOR}
unit_classes: [{name: unitClasses/talk, kind: USAGE, default_unit: unitsOfMeasure/talk-minute}]
units_of_measure: [{name: unitsOfMeasure/talk-minute, unit_class: unitClasses/talk, scale: 2}]
usage_resources: [{name: usageResources/calls, category: USAGE, unit_class: unitClasses/talk}]
rate_cards: [{name: rateCards/list, type: BASE}]
price_book: {name: priceBooks/standard, rate_cards: [rateCards/list]}
product_usage_resources:
  - product_usage_resource: {usage_resource: usageResources/calls}
    aggregation: {method: SUM, period: DAY}
    rating_frequency: {period: MONTH}
    overage: {overage: CHARGE}
    grants:
      - product_usage_grant: {name: products/voice/grants/included, quantity: 100}
        refresh: {interval: {unit: MONTH, count: 1}}
    rate_card_entries:
      - name: rateCards/list/entries/voice-calls
        currency_code: USD
        rate: {value: 0.10, currency_code: USD}
"""


@dataclass
class Shell:
    """A shell of one person, with the files of a directory."""

    home: Path
    service: Service
    key: str = ""
    tenant: str = field(default_factory=lambda: f"t-{uuid4().hex[:8]}")

    async def __call__(self, line: str) -> Ended:
        words = [
            str(self.home / word) if word.endswith((".yaml", ".csv")) else word
            for word in shlex.split(line)
        ]
        return await usage(*words, home=self.home, USAGE_KEY=self.key)

    async def done(self, line: str) -> str:
        """Return what a command printed that must succeed."""
        ended = await self(line)
        assert ended.code == 0, f"{line}\n{ended.out}\n{ended.err}"
        return ended.out

    async def read(self, line: str) -> Any:
        return json.loads(await self.done(f"--json {line}"))

    async def refused(self, line: str) -> str:
        ended = await self(line)
        assert ended.code == 1, f"{line}\n{ended.out}\n{ended.err}"
        return ended.err


async def open_shell(service: Service, home: Path, files: Mapping[str, str]) -> Shell:
    """Open the shell of an administrator of a new tenant at 1 January 2026.

    The product of `voice.yaml` is set up, and an account.
    """
    kept = {"address": service.address, "operator_key": service.operator_key}
    (home / "credentials").write_text(json.dumps(kept))
    for name, text in files.items():
        (home / name).write_text(text)
    made = Shell(home, service)
    await made.done(f"tenant create {made.tenant} --clock 2026-01-01")
    made.key = (await made.done(f"credential create --tenant {made.tenant} --role admin")).strip()
    await made.done("setup voice.yaml")
    await made.done("account create acme --currency USD --time-zone UTC")
    return made


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]
