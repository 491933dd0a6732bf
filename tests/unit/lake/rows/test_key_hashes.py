"""Hashes of keys, of which those that are too many for the memory go to the disk."""

import errno
import gc
import os
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from practicus_assets.errors import StoreFailed
from practicus_assets.lake.rows import key_hashes
from practicus_assets.lake.rows.fingerprints.hashes import Hashes
from practicus_assets.lake.rows.key_hashes import KeyHashes


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_hashes, "_IN_MEMORY", 1000)
    monkeypatch.setattr(key_hashes, "_SENT", 10)
    monkeypatch.setattr(key_hashes, "_AT_ONCE", 300)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files, as TMPDIR sets it, in which there is nothing in the end."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def random(count: int, seed: int = 0) -> Hashes:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


def twice(hashes: KeyHashes) -> list[int]:
    return [int(one) for piece in hashes.twice() for one in piece]


def sent(hashes: KeyHashes) -> KeyHashes:
    copy: KeyHashes = pickle.loads(pickle.dumps(hashes))  # noqa: S301 our own
    return copy


@pytest.mark.usefixtures("folder")
@settings(max_examples=30, deadline=None)
@given(
    parts=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 2)), max_size=6),
    few=st.lists(st.integers(0, 2**64 - 1), max_size=5),
)
def test_hashes_that_come_twice_are_found_in_memory_and_on_the_disk(
    parts: list[tuple[int, int]], few: list[int]
) -> None:
    added = [random(count, seed) for count, seed in parts] + [np.array(few * 2, dtype=np.uint64)]
    hashes = KeyHashes()
    for part in added:
        hashes.add(part)
    values, counts = np.unique(np.concatenate(added), return_counts=True)
    assert twice(hashes) == values[counts > 1].tolist()


@pytest.mark.usefixtures("folder")
def test_one_hash_that_comes_very_often_takes_no_room() -> None:
    hashes = KeyHashes()
    for _ in range(50):
        hashes.add(np.full(1001, 7, dtype=np.uint64))
    assert len(sent(hashes)._runs[0].read(0, 1 << 12)) == 2
    assert twice(hashes) == [7]


@pytest.mark.usefixtures("folder")
def test_hashes_of_several_threads_and_of_another_process_are_held_against_each_other() -> None:
    hashes, others = KeyHashes(), KeyHashes()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hashes.add, np.split(random(40_000), 80)))
    others.add(random(5000)[-1:])
    others.add(random(3000, seed=1))
    assert (twice(hashes), twice(others)) == ([], [])
    hashes.take_in(sent(others))
    assert twice(hashes) == [int(random(5000)[-1])]
    assert twice(others) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the open files are those that Linux shows")
def test_the_file_has_no_name_and_goes_with_the_last_hashes(folder: Path) -> None:
    def opened() -> list[str]:
        paths = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
        return [path for path in paths if path.startswith(str(folder))]

    hashes, more = KeyHashes(), KeyHashes()
    hashes.add(random(2000))
    more.add(random(2000))
    assert list(folder.iterdir()) == []
    assert len(opened()) == 1
    del hashes, more
    gc.collect()
    assert opened() == []


@pytest.mark.usefixtures("folder")
def test_room_of_hashes_that_are_gone_is_used_again_while_others_stay() -> None:
    kept = KeyHashes()
    kept.add(random(2000, seed=99))
    kept.add(random(2000, seed=99))
    sizes = []
    for seed in range(6):
        hashes = KeyHashes()
        for count in (3000, 1500, 2000 + 100 * seed):
            hashes.add(random(count, seed))
        assert twice(hashes) == sorted(random(3000, seed)[: 2000 + 100 * seed].tolist())
        sizes.append(os.fstat(hashes._runs[0].disk._descriptor).st_size)
        del hashes
        gc.collect()
    assert max(sizes) <= sizes[0] + 500 * 8
    assert len(twice(kept)) == 2000


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_is_told_with_the_folder_and_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def failing(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(StoreFailed) as error:
        KeyHashes().add(random(2000))
    assert str(folder) in str(error.value)
    assert os.strerror(code) in str(error.value)
    assert "TMPDIR" in error.value.advice
