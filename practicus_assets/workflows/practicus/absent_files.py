"""Files that a folder of Practicus AI is about, and does not have."""

import ast
from collections.abc import Iterator
from pathlib import Path

from practicus_assets.errors import did_you_mean
from practicus_assets.workflows.practicus.syntax.expression import dotted

_WORKER = "_worker.json"
_RUNS = {"execute_notebook": "input_path", "run_task": "file_name"}  # calls of tasks, with what names a file


def absent_files(folder: Path, tasks: list[str]) -> Iterator[str]:
    """Yield sentences on worker files of no task, and on files that tasks run and the folder has not.

    Args:
        folder: the folder.
        tasks: the tasks of its flow.

    """
    for path in sorted(folder.glob(f"*{_WORKER}")):
        task = path.name.removesuffix(_WORKER)
        if task not in {"default", *tasks}:
            advice = did_you_mean(task, tasks, f"The flow has {', '.join(tasks)}.")
            yield f"{path.name} is of no task, and says nothing to any. {advice}"
    for task in tasks:
        path = folder / f"{task}.py"
        try:
            tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
            yield f"{path.name} cannot be read: {type(error).__name__}."
            continue
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            file = _run_by(call)
            if file is not None and not (folder / file).exists():
                yield f"{path.name} runs {file} (line {call.lineno}), which is not there."


def _run_by(call: ast.Call) -> str | None:
    """Return the file that a call runs; None if it runs none, or only a run would tell."""
    function = dotted(call.func).rpartition(".")[2]
    if function not in _RUNS:
        return None
    given = [keyword.value for keyword in call.keywords if keyword.arg == _RUNS[function]] + call.args[:1]
    if not given or not isinstance(given[0], ast.Constant) or not isinstance(given[0].value, str):
        return None
    name = given[0].value
    return name if function != "execute_notebook" or name.endswith(".ipynb") else f"{name}.ipynb"
