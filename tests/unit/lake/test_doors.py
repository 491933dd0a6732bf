"""Every operation on a damaged table does what it does on a sound one, or ends with an error of ours."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.upkeep.releases import FOLDER
from tests.operations import NEWEST, OPERATIONS, Lake, failing, fill

Damage = Callable[[Path], object]

NOBODY = 65534


def log_file(root: Path, name: str | int) -> Path:
    return root / "t" / "_delta_log" / (name if isinstance(name, str) else f"{name:020}.json")


def checkpoint_file(root: Path) -> Path:
    [path] = (root / "t" / "_delta_log").glob("*.checkpoint.parquet")
    return path


def data_file(root: Path) -> Path:
    """Return the file of the table's first rows."""
    return min((root / "t" / "p=a").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)


def release_file(root: Path) -> Path:
    [path] = (root / FOLDER).glob("*.parquet")
    return path


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


def scratched(path: Path) -> None:
    """Put other bytes into the middle of a file; its length and its ends stay."""
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[: middle - 40] + b"\xff" * 80 + content[middle + 40 :])


def no_json(path: Path) -> None:
    path.write_text("no\n", encoding="utf-8")


def no_text(path: Path) -> None:
    path.write_bytes(b"{\xff}\n")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("", encoding="utf-8")


def needing(reader_features: list[str]) -> Damage:
    """Return what makes the newest version need features that nobody has heard of."""
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "writerFeatures": ["unheardOf"]}
    action = json.dumps({"protocol": protocol | {"readerFeatures": reader_features}})

    def damage(root: Path) -> None:
        path = log_file(root, NEWEST)
        path.write_text(f"{path.read_text(encoding='utf-8').rstrip()}\n{action}\n", encoding="utf-8")

    return damage


def of_file(file: Callable[[Path], Path], *how: Callable[[Path], object]) -> dict[str, Damage]:
    """Return damages of one file, by how it is damaged."""
    return {one.__name__: lambda root, one=one: one(file(root)) for one in how}  # type: ignore[misc]


def gone(path: Path) -> None:
    path.unlink()


FILES: dict[str, dict[str, Damage]] = {
    "a data file": of_file(data_file, gone, emptied, cut, overwritten, scratched),
    "the file of releases": of_file(release_file, gone, emptied, cut, overwritten, scratched),
    "the checkpoint": of_file(checkpoint_file, gone, emptied, cut, overwritten, scratched),
    # without its newest entry a table is the table as it was before: nobody can tell
    "the newest entry": of_file(lambda root: log_file(root, NEWEST), emptied, cut, no_json, no_text),
} | {
    f"the entry of version {version}": of_file(
        lambda root, version=version: log_file(root, version),  # type: ignore[misc]
        *(gone, emptied, cut, no_json, no_text),
    )
    for version in (0, 1, 3)
}
DAMAGES: dict[str, Damage] = {
    **{f"{file}, {how}": damage for file, hows in FILES.items() for how, damage in hows.items()},
    **{
        f"_last_checkpoint, with {text!r}": lambda root, text=text: (  # type: ignore[misc]
            log_file(root, "_last_checkpoint").write_text(text, encoding="utf-8")
        )
        for text in ("", "{", "{}", "[]")
    },
    "an entry without objects": lambda root: log_file(root, 1).write_text("[1]\n5\n", encoding="utf-8"),
    "_last_checkpoint, gone": lambda root: log_file(root, "_last_checkpoint").unlink(),
    "the log is a file": lambda root: a_file(root / "t" / "_delta_log"),
    "a partition's folder is a file": lambda root: a_file(root / "t" / "p=a"),
    "an unknown reader feature": needing(["unheardOf"]),
    "an unknown writer feature": needing([]),
}
RIGHTS: dict[str, tuple[str, int]] = {
    "the lake may not be entered": (".", 0o000),
    "the lake may not be changed": (".", 0o555),
    "the table may not be entered": ("t", 0o000),
    "the table may not be changed": ("t", 0o555),
    "the log may not be entered": ("t/_delta_log", 0o000),
    "the log may not be listed": ("t/_delta_log", 0o311),
    "the log may not be changed": ("t/_delta_log", 0o555),
    "an entry may not be read": (f"t/_delta_log/{NEWEST:020}.json", 0o000),
    "a partition may not be entered": ("t/p=a", 0o000),
    "a partition may not be changed": ("t/p=a", 0o555),
    "releases may not be entered": (FOLDER, 0o000),
    "releases may not be changed": (FOLDER, 0o555),
}
# what a verification of the table need not report
UNSEEN_BY_VERIFY = ("the file of releases", "_last_checkpoint", "an unknown", "the entry of version 0, gone")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound") / "lake"
    fill(Lake(str(root)))
    return root


@pytest.fixture(scope="module")
def answers(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each operation answers on a sound lake."""
    folder = tmp_path_factory.mktemp("answers")
    return {name: OPERATIONS[name](Lake(str(copied(sound, folder / name)))) for name in OPERATIONS}


def copied(lake: Path, root: Path) -> Path:
    shutil.copytree(lake, root)
    return root


def wrong(name: str, root: Path, answer: Any, damage: str) -> str:
    """Return what is wrong with how an operation ends; nothing if it works, or says what to do."""
    now, problem = failing(name, Lake(str(root)))
    if problem or isinstance(now, PracticusAssetsError):
        return problem
    if name.startswith("verify"):
        return "" if now or damage.startswith(UNSEEN_BY_VERIFY) else "no problem was reported"
    right = [answer]
    if damage.startswith("the entry") and damage.endswith("gone"):
        # a log that begins later says less, and nothing is removed of which it does not tell
        right.append(answer[: len(now)] if name == "history" else (0, 0))
    return "" if now in right else f"another answer: {now}, not {answer}"


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_operation_on_a_damaged_table_works_or_says_what_to_do(
    damage: str, sound: Path, answers: dict[str, Any], tmp_path: Path
) -> None:
    problems = {}
    for name, answer in answers.items():
        root = copied(sound, tmp_path / name)
        DAMAGES[damage](root)
        problems[name] = wrong(name, root, answer, damage)
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that any user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Be nobody for a while, where the tests run as root, whom no rights bind."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("right", RIGHTS)
def test_every_operation_without_a_right_works_or_says_what_to_do(
    right: str, sound: Path, answers: dict[str, Any], open_folder: Path
) -> None:
    problems = {}
    path, mode = RIGHTS[right]
    for name, answer in answers.items():
        root = copied(sound, open_folder / name)
        for place in (root, *root.rglob("*")) if os.geteuid() == 0 else ():
            os.chown(place, NOBODY, NOBODY)
        (root / path).chmod(mode)
        with without_root():
            problems[name] = wrong(name, root, answer, "an unknown right")
        (root / path).chmod(0o755)
    assert {name: problem for name, problem in problems.items() if problem} == {}
