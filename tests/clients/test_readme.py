"""The README's path from a running service to a first invoice line, followed literally."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from uuid import uuid4

from tests.service import Service

README = (Path(__file__).parents[2] / "README.md").read_text()


def fenced(language: str) -> str:
    """Return the only block of a language."""
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(block)


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


async def bash(script: str, here: Path) -> tuple[int, str]:
    """Run a script as somebody who copies it into a shell; stop at the first refusal."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("USAGE_")}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", script),
        cwd=here,
        env={**others, "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_the_readme_leads_to_a_first_invoice_line(service: Service, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    home = tmp_path / ".usage"
    home.mkdir()
    # As `usage up` leaves it.
    kept = {"address": service.address, "operator_key": service.operator_key}
    (home / "credentials").write_text(json.dumps(kept))
    # The service is shared with other runs of this test, which must not meet in one tenant.
    script = re.sub(r"\btrial\b", f"trial-{uuid4().hex[:8]}", fenced("sh"))

    code, out = await bash(script, tmp_path)

    assert code == 0, out
    shown = words(out)
    assert [row for row in words(fenced("text")) if row not in shown] == []
    # Before it is final it is visible, with the day on which it will be.
    assert ["calls", "2", "125.5", "Jan", "2026", "2026-02-04"] in shown
    assert "45.5 used, 25.5 beyond" in out
