"""`.ci/run` runs in a fresh clone, out of reach of what lies in and beside the checkout."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a committed file, a file that is not committed, and a folder beside it."""
    made = tmp_path / "beside" / "checkout"
    (made / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", made / ".ci/run")
    (made.parent / "shared").mkdir()
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "one")):
        subprocess.run([*GIT, *command], cwd=made, check=True)
    (made / "forgotten.txt").write_text("not committed")
    return made


def test_ci_sees_what_is_committed_and_nothing_else(checkout: Path, tmp_path: Path):
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "USAGE_PORT": "1"}
    look = 'ls -A; ls ..; echo "port ${USAGE_PORT-none}"; exit 7'
    command = ["bash", str(checkout / ".ci/run"), "sh", "-c", look]

    for _ in range(2):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, cwd="/"
        )

        assert done.returncode == 7, done.stderr
        said = done.stdout.split("forgotten.txt\n", 1)[1]
        assert said.split("\n") == [".ci", ".git", "checkout", "port none", ""]
        assert list((tmp_path / "temporary").iterdir()) == []
