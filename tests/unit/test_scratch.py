"""Temporary folders of tasks: removed at the end, and after a killed process by the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from practicus_assets.tasks.folder import scratch, workspace

HOLD = """
import sys
from practicus_assets.tasks.folder import workspace
with workspace(None) as place:
    print(place.folder.parent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_of_a_killed_process_is_removed_by_the_next_one_and_no_other(temporary: Path) -> None:
    others = [temporary / "practicus-task-x", temporary / "task-y"]
    for other in others:
        other.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    held = Path(process.stdout.readline().strip())
    with scratch() as own:
        assert held.is_dir()
        process.kill()
        process.communicate()
        with workspace(None):
            assert not held.exists()
            assert own.is_dir()
    assert sorted(temporary.iterdir()) == others


def test_a_folder_that_a_link_of_another_names_is_left_alone(temporary: Path) -> None:
    target = temporary / "target"
    target.mkdir()
    (target / "owner").write_text("")
    (temporary / "practicus-task-z").symlink_to(target)
    with scratch():
        pass
    assert (target / "owner").exists()
