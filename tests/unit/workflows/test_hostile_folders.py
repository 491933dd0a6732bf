"""Folders that nobody would write in good faith: each is a clear error, in bounded time."""

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from practicus_assets.errors import DeclarationError
from practicus_assets.workflows.practicus.absent_files import absent_files
from practicus_assets.workflows.practicus.credentials import credentials_in
from practicus_assets.workflows.practicus.dag_file import read_dag_file
from practicus_assets.workflows.practicus.worker_file import Site, worker_of
from tests.unit.workflows.test_dag_file import TASK, in_dag

TOO_DEEP = "RecursionError|MemoryError|nested too deeply"
BOUND = 20  # seconds of processor time: several times what the slowest takes
DEEP = "[" * 100_000 + "]" * 100_000


def node(name: str) -> str:
    return f'{name} = task(prt.workflows.run_airflow_task, task_id="{name}")()'


def many_tasks() -> str:
    """Return a dag file of about a megabyte."""
    names = [f"table_{number:05d}" for number in range(9_000)]
    lines = [" >> ".join(names[start : start + 500]) for start in range(0, 4_500, 500)]
    return in_dag(*map(node, names), *lines, f"[{', '.join(names[4_500:])}] >> table_00000")


def test_a_dag_file_of_a_megabyte_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shop_dag.py"
    path.write_text(many_tasks())
    assert path.stat().st_size > 700_000
    began = time.process_time()
    assert len(read_dag_file(path).nodes) == 9_000
    assert time.process_time() - began < BOUND


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (lambda: in_dag(TASK, "a", "x = '" + "x" * 5 * 2**20 + "'"), "it has more than 4 MiB"),
        (lambda: in_dag(TASK, "a", f"x = {DEEP}"), "too many nested parentheses|nested too deeply"),
        (
            lambda: in_dag(TASK, "a", "x = " + "-" * 50_000 + "1"),
            "RecursionError|MemoryError|nested too deeply",
        ),
        (lambda: in_dag(TASK, "a", "x = y" + ".y" * 50_000), TOO_DEEP),
        (lambda: in_dag(TASK, "a >> " * 20_000 + "a"), TOO_DEEP),
        (lambda: in_dag(TASK, "a" + "".join(f"\n{' ' * d}if x:" for d in range(1, 150))), "cannot be read"),
    ],
    ids=["large", "brackets", "signs", "attributes", "long flow", "blocks"],
)
def test_a_dag_file_that_is_too_much_is_refused(
    tmp_path: Path, text: Callable[[], str], problem: str
) -> None:
    path = tmp_path / "shop_dag.py"
    path.write_text(text())
    began = time.process_time()
    with pytest.raises(DeclarationError, match=problem):
        read_dag_file(path)
    assert time.process_time() - began < BOUND


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _circle(path: Path) -> None:
    path.symlink_to(path)


def _gone(path: Path) -> None:
    path.symlink_to(path.parent / "gone")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _folder, _circle, _gone, _device])
def test_a_dag_file_that_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "shop_dag.py"
    make(path)
    with pytest.raises(DeclarationError, match=r"the dag file .*shop_dag\.py cannot be read"):
        read_dag_file(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"additional_params": base64.b64encode(DEEP.encode()).decode()}, "is not JSON in base64"),
        ({"additional_params": base64.b64encode(b"x" * 4 * 2**20).decode()}, "has more than 4 MiB"),
        ({"additional_params": base64.b64encode(b"\xff\xfe").decode()}, "is not JSON in base64"),
        ({"additional_params": base64.b64encode(b"[1]").decode()}, "is no JSON object"),
        (DEEP, "is no JSON: RecursionError"),
    ],
    ids=["deep", "huge", "binary", "list", "deep outside"],
)
def test_a_worker_file_that_is_too_much_is_refused(tmp_path: Path, content: object, problem: str) -> None:
    path = tmp_path / "default_worker.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DeclarationError, match=problem):
        worker_of([path], Site())


def test_what_looks_through_a_folder_bears_files_that_nothing_can_read(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"x = {'-' * 50_000}1")
    (tmp_path / "b.py").write_bytes(bytes(range(256)))
    (tmp_path / "c.json").write_text(DEEP)
    (tmp_path / "d.py").symlink_to(tmp_path / "d.py")
    os.mkfifo(tmp_path / "e.json")
    (tmp_path / "f.json").write_text('{"refresh_token": "hunter2hunter2"}')
    assert credentials_in(tmp_path) == {"f.json": ["refresh_token"]}
    said = list(absent_files(tmp_path, ["a", "b", "d"]))
    assert [sentence.split(" cannot be read")[0] for sentence in said[:2]] == ["a.py", "b.py"]
