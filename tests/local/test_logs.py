"""Logs of running children stay within their bound, and no full disk ends who looks after them."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from server.local import children, logs
from server.local.children import ChildProgram, Keeper
from server.local.logs import Rotation, open_log
from server.local.output import Output

TALKS = "import sys\nfor line in sys.stdin: print(line * 100, flush=True)"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 1000)
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.0)


@pytest.fixture
def talk(tmp_path: Path) -> Callable[[str], None]:
    """A child that writes what it is told a hundred times to its log, and goes on running."""
    log = tmp_path / "log" / "child.log"
    log.parent.mkdir()
    with open_log(log) as out:
        child = subprocess.Popen([sys.executable, "-c", TALKS], stdin=subprocess.PIPE, stdout=out)
    assert child.stdin is not None

    def say(word: str) -> None:
        assert child.stdin is not None
        child.stdin.write(f"{word}\n".encode())
        child.stdin.flush()
        while log.read_text().count(word) < 100:
            assert child.poll() is None

    yield say
    child.stdin.close()
    child.wait()


def test_a_log_that_is_written_to_is_bounded_in_size_and_number(tmp_path: Path, talk) -> None:
    said: list[str] = []
    rotation = Rotation(tmp_path / "log", said.append)

    for number in range(8):
        talk(f"message-{number}")
        rotation.tend()

    sizes = {path.name: path.stat().st_size for path in (tmp_path / "log").iterdir()}
    assert set(sizes) == {"child.log", "child.log.1", "child.log.2", "child.log.3"}
    assert sizes["child.log"] == 0
    assert max(sizes.values()) < 2000
    for part, number in ((1, 7), (2, 6), (3, 5)):
        text = (tmp_path / "log" / f"child.log.{part}").read_bytes()
        assert text.count(f"message-{number}\n".encode()) == 100
        assert b"\0" not in text, "the child goes on at the beginning, not where it was"
    assert (tmp_path / "log" / "child.log.1").stat().st_mode & 0o777 == 0o600
    assert said == []


def test_a_log_beside_the_data_is_found_by_its_link(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "postgres.log").write_text("x" * 1001)
    (tmp_path / "log" / "postgres.log").symlink_to(Path("..") / "postgres.log")
    (tmp_path / "log" / "redis.log").symlink_to(Path("..") / "not-there-yet.log")

    Rotation(tmp_path / "log", pytest.fail).tend()

    assert (tmp_path / "postgres.log").read_text() == ""
    assert (tmp_path / "postgres.log.1").read_text() == "x" * 1001
    assert (tmp_path / "log" / "postgres.log").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
def test_on_a_full_disk_a_log_stays_bounded_and_trouble_is_said_once(tmp_path: Path, talk) -> None:
    said: list[str] = []
    rotation = Rotation(tmp_path / "log", said.append)
    log = tmp_path / "log" / "child.log"

    sizes = []
    for number in range(4):
        talk(f"message-{number}")
        (tmp_path / "log" / "child.log.making").symlink_to("/dev/full")
        rotation.tend()
        sizes.append(log.stat().st_size)

    assert [size > 0 for size in sizes] == [True, False, True, False]
    assert len(said) == 1
    assert "No space left" in said[0]
    talk("there is room again")
    talk("or so")
    rotation.tend()
    assert log.stat().st_size == 0
    assert b"or so" in (tmp_path / "log" / "child.log.1").read_bytes()


def test_what_cannot_start_for_want_of_space_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE_SECONDS", 0.0)
    said: list[str] = []
    program = ChildProgram("server", [sys.executable, "-c", "pass"], tmp_path / "log")
    program.start()
    assert program.process is not None
    program.process.wait()
    tries = count()

    def full(path: Path) -> None:
        if next(tries) < 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_log(path)

    monkeypatch.setattr(children, "open_log", full)
    keeper = Keeper(program, said.append)
    monkeypatch.setattr(children, "MOST_PAUSE_SECONDS", 0.0)
    while not any("is started again" in line for line in said):
        keeper.tend()
    program.process.wait()

    assert sum("No space left" in line for line in said) == 2


def test_printing_to_a_full_disk_loses_the_text_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        output = Output("stdout")
        assert output.write("hello\n") == 6
        output.flush()
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # so that it can be closed
