"""Disks that fill up or turn read-only, clocks that jump, files that are damaged or gone."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from practicus_assets.errors import PracticusAssetsError
from practicus_assets.lake.delta.snapshot import Snapshot
from tests.faults.tally import Tally
from tests.faults.work import CASES, OLD, Outcome, Place, Work, attempt, rows, until_landed

APPEND = Work("append", ("a",), rows("a", "new", 10))


@contextlib.contextmanager
def disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a disk of some size; needs root, as the build has it."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "faults"]
    subprocess.run(["/bin/mount", *options, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", folder], check=True)


def clear(first: Outcome, place: Place) -> str | None:
    """Return what is wrong with how an attempt on a bad disk ended; None if it is a clear error."""
    named = first.text.startswith(("t ", "t:")) and place.table.uri in first.text
    certain = first.text.endswith("Nothing was written.")
    return None if first.error == "StoreFailed" and named and certain else f"no clear error: {first}"


@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_fills_up(
    case: str, tmp_path: Path, spelled: Callable[[Path], Place], tally: Tally
) -> None:
    old, make = CASES[case]
    for pages in range(24):
        with disk(tmp_path / str(pages), 160) as folder:
            (folder / "lake").mkdir()
            place, work = spelled(folder / "lake"), make()
            if old is not None:
                attempt(Work("replace", (), old), place)
            before = place.state()
            ballast = folder / "ballast"
            free = os.statvfs(folder).f_bavail * 4096
            ballast.write_bytes(b"x" * (free - pages * 4096))
            first = attempt(work, place)
            problem = None if first.kind == "landed" else clear(first, place)
            if problem is None and place.state() != (
                work.after(before) if first.kind == "landed" else before
            ):
                problem = f"after {first}: {place.state()}"
            ballast.unlink()
            if problem is None and first.kind != "landed":
                later = until_landed(work, place)
                done = len(later) == 1 and place.state() == work.after(before)
                problem = None if done else f"{later}: {place.state()}"
            tally.point(f"{pages} pages left", problem)
    tally.settle()


def test_a_disk_that_becomes_read_only(
    tmp_path: Path, spelled: Callable[[Path], Place], tally: Tally
) -> None:
    for case, (old, make) in CASES.items():
        with disk(tmp_path / case, 160) as folder:
            (folder / "lake").mkdir()
            place, work = spelled(folder / "lake"), make()
            if old is not None:
                attempt(Work("replace", (), old), place)
            before = place.state()
            subprocess.run(["/bin/mount", "-o", "remount,ro", folder], check=True)
            first = attempt(work, place)
            told = first.error in {"StoreFailed", "DeclarationError"} and "Read-only" in first.text
            tally.point(f"{case}: the error", None if told else str(first))
            tally.point(f"{case}: the table", None if place.state() == before else str(place.state()))
            subprocess.run(["/bin/mount", "-o", "remount,rw", folder], check=True)
            done = until_landed(work, place)[-1].kind == "landed" and place.state() == work.after(before)
            tally.point(f"{case}: the retry", None if done else str(place.state()))
    tally.settle()


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_clock_that_jumps_by_a_day(
    jump_s: int, place: Callable[[], Place], tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    for case, (old, make) in CASES.items():
        here, work = place(), make()
        if old is not None:
            attempt(Work("replace", (), old), here)
        before = here.state()
        begun = work.begin(here)
        monkeypatch.setattr("time.time", lambda: real() + jump_s)
        begun.write(work.data())
        again = until_landed(work, here)
        good = [o.kind for o in again] == ["landed"] and here.state() == work.after(before)
        tally.point(f"{case}: landed once", None if good else f"{again}: {here.state()}")
        monkeypatch.undo()
        last = Work("replace", ("a",), rows("a", "last", 1), wide=work.wide)
        expected = last.after(here.state())
        landed = attempt(last, here).kind == "landed" and here.state() == expected
        tally.point(f"{case}: the next run", None if landed else str(here.state()))
    tally.settle()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\x00garbage{"),
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "gone": lambda path: path.unlink(),
}


def damaged_log(root: Path) -> Place:
    """Return a table with a checkpoint, and log entries before and after it."""
    place = Place(str(root))
    attempt(Work("replace", (), OLD), place)
    for number in range(2):
        attempt(Work("append", ("a",), rows("a", "old", 20 + number)), place)
    DeltaTable(place.table.uri).create_checkpoint()
    for number in range(2):
        attempt(Work("append", ("a",), rows("a", "old", 30 + number)), place)
    return place


def test_a_damaged_log_is_named_or_does_not_matter(tmp_path: Path, tally: Tally) -> None:
    """Only the newest entry can vanish unseen: a table without it is the table as it was before."""
    whole = damaged_log(tmp_path / "whole")
    state = whole.state()
    log = Path(whole.table.uri, "_delta_log")
    for name in sorted(path.name for path in log.iterdir()):
        for kind, damage in DAMAGES.items():
            copy = Place(str(tmp_path / f"{kind}-{name}"))
            shutil.copytree(whole.root_uri, copy.root_uri)
            path = Path(copy.table.uri, "_delta_log", name)
            damage(path)
            left = {p: p.read_bytes() for p in Path(copy.table.uri).rglob("*") if p.is_file()}
            first = attempt(APPEND, copy)
            now = {p: p.read_bytes() for p in Path(copy.table.uri).rglob("*") if p.is_file()}
            newest = kind == "gone" and name.endswith("4.json")
            if first.kind == "raised":
                named = name in first.text or (kind == "gone" and "checkpoint" in first.text)
                clear_ = first.error == "StoreFailed" and named and now == left
                tally.point(f"{kind} {name}", None if clear_ else f"no clear error, or a change: {first}")
            else:
                right = newest or copy.state() == APPEND.after(state)
                tally.point(f"{kind} {name}", None if right else f"unseen, and now {copy.state()}")
    tally.settle()


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_data_file_is_named_when_it_is_read_and_can_be_replaced(
    kind: str, tmp_path: Path, tally: Tally
) -> None:
    place = Place(str(tmp_path))
    attempt(Work("replace", (), OLD), place)
    handle = DeltaTable(place.table.uri)
    [path] = [Path(uri) for uri in handle.file_uris() if "p=a" in uri]
    DAMAGES[kind](path)
    merge = attempt(Work("merge", ("a",), rows("a", "new", 1)), place)
    named = path.name in merge.text and merge.text.endswith("Nothing was written.")
    tally.point("a merge", None if merge.ours and merge.kind == "raised" and named else str(merge))
    with pytest.raises(PracticusAssetsError, match=path.name):
        Snapshot.of(place.table).scan().read_all()
    tally.point("a scan", None)
    tally.point("no commit", None if DeltaTable(place.table.uri).version() == 0 else "it committed")
    work = Work("replace", ("a",), rows("a", "new", 1))
    healed = attempt(work, place).kind == "landed" and place.state() == work.after(
        Work("replace", (), OLD).after(None)
    )
    tally.point("a replace heals it", None if healed else "it does not")
    tally.settle()
