"""The map in `server/README.md` names every folder of the server, and none that does not exist."""

import re
from pathlib import Path

SERVER = Path(__file__).parents[2] / "server"
LAYERS = ("domain", "usecases", "store", "api/services", "api/mapping")
MAP = (SERVER / "README.md").read_text()
ROW = re.compile(r"^\| ((?:`[a-z_/]+`(?:, )?)+) \| [A-Z`].*\. \|$", re.MULTILINE)


def folders() -> set[str]:
    """The packages and other folders of the server, as paths below it."""
    found = (path.relative_to(SERVER) for path in SERVER.rglob("*") if path.is_dir())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


def test_every_folder_has_a_sentence_on_the_map_and_every_row_has_a_folder():
    rows = {path for cell in ROW.findall(MAP) for path in re.findall(r"[a-z_/]+", cell)}
    there = folders()
    areas = {row for row in rows if any(f"{layer}/{row}" in there for layer in LAYERS)}
    named = rows - areas
    in_areas = {f"{layer}/{area}" for layer in LAYERS for area in areas}

    sql = {path for path in there if path.startswith("store/sql/")}
    assert there - named - in_areas - sql == set()
    assert named - there == set()


def test_every_module_that_the_map_names_exists():
    paths = re.findall(r"`((?:domain|usecases|store|api|runtime)/[a-z_/]+\.py)`", MAP)

    assert paths
    assert [path for path in paths if not (SERVER / path).is_file()] == []
