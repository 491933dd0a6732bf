"""Notebooks as tasks, run by real kernels."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import nbformat
import pytest

from practicus_assets import task_asset
from practicus_assets.errors import DeclarationError
from tests.integration.bench import Bench, errors

pytestmark = pytest.mark.slow

Notebook = Callable[..., Path]
PARAMETERS = "#parameters"  # begins the cell that is tagged so


@pytest.fixture
def notebook(tmp_path: Path) -> Notebook:
    """Write a notebook of cells, and return its path."""

    def write(*cells: str, name: str = "report.ipynb", kernel: str = "python3") -> Path:
        made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": kernel, "display_name": "x"}})
        for source in cells:
            tags = ["parameters"] if source.startswith(PARAMETERS) else []
            made.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        path = tmp_path / name
        nbformat.write(made, path)
        return path

    return write


def outputs(bench: Bench) -> Sequence[str]:
    """Return what the cells of the kept notebook printed."""
    path = next(Path(bench.root, "_artifacts").rglob("report_output.ipynb"))
    cells = json.loads(path.read_text())["cells"]
    printed = [out for cell in cells for out in cell.get("outputs", []) if "text" in out]
    return ["".join(out["text"]) for out in printed]


def test_a_notebook_is_executed_kept_and_shown(bench: Bench, notebook: Notebook) -> None:
    path = notebook("print('hello')")
    bench.run([task_asset(path)])
    shown = bench.metadata("report")
    assert shown["practicus/artifact_files"] == ["report_output.html", "report_output.ipynb"]
    assert Path(shown["practicus/notebook"]).is_file()
    assert outputs(bench) == ["hello\n"]
    assert "hello" in Path(shown["practicus/artifacts"], "report_output.html").read_text()
    assert sorted(p.name for p in path.parent.iterdir() if p.is_file()) == ["report.ipynb"]


def test_parameters_go_into_the_tagged_cell_with_their_types(bench: Bench, notebook: Notebook) -> None:
    path = notebook(f"{PARAMETERS}\nN = 1\nMODE = 'quick'", "print(N + 1, MODE)")
    asset = task_asset(path, parameters={"N": 1, "MODE": "quick"})
    bench.run([asset], run_config={"ops": {"report": {"config": {"N": 41}}}})
    assert outputs(bench) == ["42 quick\n"]


def test_a_notebook_learns_its_partition_where_it_asks_for_it(bench: Bench, notebook: Notebook) -> None:
    path = notebook(
        f"{PARAMETERS}\npartition_key = None\nexecution_date = None", "print(partition_key, execution_date)"
    )
    asset = task_asset(path, partitions_def=dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01"))
    bench.run([asset], partition="2026-01-06")
    assert outputs(bench) == ["2026-01-06 2026-01-06\n"]


def test_a_failing_cell_fails_the_task_with_its_traceback(bench: Bench, notebook: Notebook) -> None:
    path = notebook("rows = []", "first = rows[0]", "print('never')")
    text = errors(bench.run([task_asset(path)], fails=True))
    assert "Cell 2 of report.ipynb failed:\n    first = rows[0]" in text
    assert "IndexError: list index out of range" in text
    assert outputs(bench) == []


def test_a_kernel_that_is_killed_fails_the_task(bench: Bench, notebook: Notebook) -> None:
    path = notebook("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    text = errors(bench.run([task_asset(path)], fails=True))
    assert "The kernel of report.ipynb died" in text


def test_a_kernel_that_is_not_installed_is_replaced_by_python(bench: Bench, notebook: Notebook) -> None:
    bench.run([task_asset(notebook("print(1)", kernel="conda-env-of-somebody"))])
    assert outputs(bench) == ["1\n"]


def test_a_notebook_writes_a_table(bench: Bench, notebook: Notebook) -> None:
    path = notebook("from practicus_assets import task", "task.table('report').replace([{'n': 1}])")
    bench.run([task_asset(path, table={})])
    assert bench.rows("report") == [(1,)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "report.py",
            (
                "# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       format_name: percent\n"
                "# ---\n\n# %%\nprint(6 * 7)\n"
            ),
        ),
        (
            "report.md",
            (
                "---\njupyter:\n  jupytext:\n    text_representation:\n      format_name: markdown\n---\n\n"
                "```python\nprint(6 * 7)\n```\n"
            ),
        ),
    ],
    ids=["py", "md"],
)
def test_a_notebook_in_text_is_executed(bench: Bench, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    bench.run([task_asset(path)])
    assert outputs(bench) == ["42\n"]


def test_a_markdown_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes")
    with pytest.raises(DeclarationError, match=r"notes\.md is no notebook: it has no header of jupytext"):
        task_asset(tmp_path / "notes.md")


def test_a_notebook_takes_parameters_and_no_arguments(notebook: Notebook) -> None:
    options: Any = {"arguments": ["x"]}
    with pytest.raises(DeclarationError, match="Give it parameters"):
        task_asset(notebook("1"), **options)


def test_no_secret_of_the_worker_is_in_the_kept_notebook_and_its_page(
    bench: Bench, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "sesame-street")
    path = notebook(
        f"{PARAMETERS}\nAPI_TOKEN = ''",
        "import os\nprint('by', os.environ['DB_PASSWORD'])",
        "from IPython.display import display\n"
        "display({'text/html': f'<b>{os.environ[\"DB_PASSWORD\"]}</b>', 'image/png': 'AAAA'}, raw=True)",
        "raise ValueError(os.environ['DB_PASSWORD'] + API_TOKEN)",
    )
    config = {"ops": {"report": {"config": {"API_TOKEN": "open-barley"}}}}
    text = errors(bench.run([task_asset(path, parameters={"API_TOKEN": ""})], run_config=config, fails=True))
    files = [*Path(bench.root, "_artifacts").rglob("report_output.*")]
    assert len(files) == 2
    for shown in (text, *(file.read_text() for file in files)):
        assert "ValueError" in shown
        assert "sesame" not in shown
        assert "barley" not in shown
