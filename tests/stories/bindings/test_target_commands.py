"""Binding targets by the command line, from their creation to a sale that is bound to them."""

from pathlib import Path

import pytest

from tests.service import Service
from tests.stories.selling.shells import VOICE, Shell, open_shell


@pytest.fixture
async def shell(service: Service, tmp_path: Path) -> Shell:
    return await open_shell(service, tmp_path, {"voice.yaml": VOICE})


@pytest.mark.capability("M67.contract")
async def test_a_target_is_made_changed_sold_to_and_not_deleted_then(shell: Shell) -> None:
    made = await shell.done("target create acme team-a --name Team")
    await shell.done("target create acme frame --kind contract")
    listed = await shell.read("target list acme")
    await shell.done("target update acme team-a --name 'Team A' --kind contract")
    changed = await shell.read("target show acme team-a")
    deleted = await shell.done("target delete acme frame")
    await shell.done("sell acme --product voice --target accounts/acme/bindingTargets/team-a")
    refused = await shell.refused("target delete acme team-a")
    nothing = await shell("target update acme team-a")
    unknown = await shell("target create acme car --kind vehicle")

    assert "sell acme --product PRODUCT --target accounts/acme/bindingTargets/team-a" in made
    assert [one["kind"] for one in listed["binding_targets"]] == ["CONTRACT", "CUSTOM"]
    assert (changed["display_name"], changed["kind"]) == ("Team A", "CONTRACT")
    assert "accounts/acme/bindingTargets/frame is deleted" in deleted
    assert "IN_USE" in refused
    assert (nothing.code, "--name, --kind or --overage" in nothing.err) == (2, True)
    assert (unknown.code, "contract or custom" in unknown.err) == (2, True)
    assert "0 issues, 0 rating periods and 0 jobs" in await shell.done("order retrigger acme")
