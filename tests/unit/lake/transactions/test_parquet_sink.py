"""Parquet sinks: files that are begun in folders that others may remove."""

import threading
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from practicus_assets.errors import StoreFailed
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.transactions.stage.parquet_sink import FolderWriter

ROWS = pa.table({"n": [1, 2]})


@pytest.mark.parametrize("folder", ["", "p=a/", "p=a/q=b/"])
def test_a_file_is_begun_though_others_remove_empty_folders_all_the_time(tmp_path: Path, folder: str) -> None:
    place = tmp_path / "t" / folder
    writer, over = FolderWriter(Table.from_uri(str(tmp_path / "t"))), threading.Event()

    def remove() -> None:
        while not over.is_set():
            for path in (place, *place.parents[: folder.count("/")]):
                with suppress(OSError):
                    path.rmdir()

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for number in range(200):
            sink = writer.begin(f"{folder}{number}.parquet", ROWS.schema, [])
            sink.write(ROWS, 10)
            sink.close()
            assert pq.read_table(place / f"{number}.parquet", partitioning=None).equals(ROWS)
            (place / f"{number}.parquet").unlink()
    finally:
        over.set()
        remover.join()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    writer = FolderWriter(Table.from_uri(str(tmp_path / "t")))
    (tmp_path / "t" / "p=a").write_text("no folder", encoding="utf-8")
    with pytest.raises(StoreFailed, match=r"staged file p=a/1\.parquet at .* failed: .*[Nn]ot a directory"):
        writer.begin("p=a/1.parquet", ROWS.schema, [])


def test_a_file_that_could_not_be_begun_is_not_held_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __init__(self, *_: object, **__: object) -> None:
            raise OSError("no space left")

    writer = FolderWriter(Table.from_uri(str(tmp_path / "t")))
    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(StoreFailed, match="no space left") as raised:
        writer.begin("1.parquet", ROWS.schema, [])
    held = [link.resolve().name for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert "1.parquet" not in held, raised.value
