"""Programs in other languages, generated from the protos, run against the service.

`make test-polyglot` runs them. `make test` does not, by the file's name: they need Go and Node.
Where a toolchain is missing its program is skipped, and in CI (`CI` is set) it fails.
Generated code is written to a temporary copy of the program, which is thrown away.
"""

import asyncio
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.service import Service, add_tenant
from tests.stories.words import moment

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROTOS = ROOT / "protos"
BUF = ROOT / ".venv/bin/buf"
# A cold cache downloads and compiles everything that a program depends on.
SECONDS = 600
STEPS = 12

Command = tuple[str, ...]


@dataclass(frozen=True)
class Language:
    """A program, and how it is built: commands run in its folder, `plugins` is put on the PATH."""

    name: str
    toolchain: Command
    prepare: tuple[Command, ...]
    plugins: str
    build: tuple[Command, ...]
    run: Command


GO = Language(
    name="go",
    toolchain=("go",),
    prepare=(("go", "install", "tool"),),
    plugins="bin",
    build=(("go", "vet", "."), ("go", "build", "-o", "program", ".")),
    run=("./program",),
)
TYPESCRIPT = Language(
    name="typescript",
    toolchain=("node", "npm"),
    prepare=(("npm", "ci", "--no-audit", "--no-fund"),),
    plugins="node_modules/.bin",
    build=(("node_modules/.bin/tsc",),),
    run=("node", "dist/src/main.js"),
)


async def run(folder: Path, environment: Mapping[str, str], command: Command) -> str:
    """Return the output of a command that must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode()
    print(f"$ {' '.join(command)}\n{text}", end="")
    assert process.returncode == 0, f"{' '.join(command)} exited with {process.returncode}\n{text}"
    return text


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("language", [GO, TYPESCRIPT], ids=lambda language: language.name)
async def test_a_generated_program_sells_records_and_reads_what_is_owed(
    service: Service, language: Language, tmp_path: Path
):
    missing = [tool for tool in language.toolchain if shutil.which(tool) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        # Whoever works on the server alone need not have these; CI, which has to, fails above.
        pytest.skip(reason)
    folder = tmp_path / language.name
    ignored = shutil.ignore_patterns("node_modules", "gen", "dist", "bin")
    shutil.copytree(HERE / language.name, folder, ignore=ignored)
    plugins = folder / language.plugins
    environment = os.environ | {
        "PATH": f"{plugins}{os.pathsep}{os.environ['PATH']}",
        "GOBIN": str(folder / "bin"),
        "GOFLAGS": "",
    }
    template = PROTOS / f"buf.gen.{language.name}.yaml"
    generate = (str(BUF), "generate", "--template", str(template), "-o", str(folder / "gen"))

    for command in language.prepare:
        await run(folder, environment, command)
    await run(PROTOS, environment, generate)
    for command in language.build:
        await run(folder, environment, command)
    _, key = await add_tenant(service, moment("2024-01-01"))
    environment |= {"USAGE_ADDRESS": service.address, "USAGE_KEY": key}
    told = await run(folder, environment, language.run)

    assert [line[:3] for line in told.splitlines()] == ["ok "] * STEPS
