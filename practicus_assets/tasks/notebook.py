"""The process of a notebook: `python -m practicus_assets.tasks.notebook file.ipynb`, in the task's folder.

It writes the executed notebook and a page of it beside the file, also when a cell failed, both without the
secrets of its environment. Its exit code is 0, or 1 after a cell that failed or a kernel that died.
"""

import json
import logging
import os
import re
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from practicus_assets.tasks import variables
from practicus_assets.tasks.masking import masked_notebook, secrets_of

_OUTPUT = "_output"  # after the notebook's name
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MISSING = "Notebooks need more packages: pip install 'practicus-assets[notebooks]'"
_OF_RUN = {  # parameters that a notebook is given if it declares them, by the variables that hold them
    "partition_key": variables.PARTITION_KEY,
    "window_start": variables.WINDOW_START,
    "window_end": variables.WINDOW_END,
    "execution_date": variables.EXECUTION_DATE,
}


def outputs_of(file: str) -> tuple[str, str]:
    """Return the names of the executed notebook and of its page."""
    stem = Path(file).stem
    return f"{stem}{_OUTPUT}.ipynb", f"{stem}{_OUTPUT}.html"


def is_notebook(file: Path) -> bool:
    """Return whether a file is a notebook: a `.ipynb`, or a `.md` or `.py` with the header of jupytext."""
    if file.suffix == ".ipynb":
        return True
    if file.suffix not in {".md", ".py"}:
        return False
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[:40]
    header = [line.removeprefix("# ").strip() for line in lines]
    return header[:1] == ["---"] and any(line in {"jupyter:", "jupytext:"} for line in header)


def main() -> int:
    """Run the notebook that the first argument names, with the parameters of the task."""
    try:
        import jupytext  # noqa: PLC0415 the base installation has none
        import papermill  # noqa: PLC0415 the same
        from nbclient.exceptions import DeadKernelError  # noqa: PLC0415 the same
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{_MISSING} ({error})\n")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # papermill ends the kernel then
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("papermill").setLevel(logging.INFO)
    executed, page = map(Path, outputs_of(sys.argv[1]))
    notebook = jupytext.read(sys.argv[1])
    if not notebook.metadata.get("kernelspec", {}).get("language"):
        notebook.metadata.setdefault("language_info", {}).setdefault("name", "python")
    kernel = _kernel(notebook.metadata.get("kernelspec", {}).get("name"))
    source = Path(os.environ[variables.PARAMETERS_FILE]).with_name(executed.name)  # beside what it is told
    jupytext.write(notebook, source)
    write_masked(executed)
    try:
        papermill.execute_notebook(
            str(source),
            str(executed),
            _parameters(source),
            kernel_name=kernel,
            progress_bar=False,
            log_output=True,
            stdout_file=sys.stdout,
            stderr_file=sys.stderr,
        )
    except papermill.PapermillExecutionError as error:
        sys.stderr.write(
            f"\nCell {error.cell_index + 1} of {sys.argv[1]} failed:\n{_indented(error.source)}\n"
        )
        sys.stderr.write(_COLOURS.sub("", "\n".join(error.traceback)) + f"\n{error.ename}: {error.evalue}\n")
        return 1
    except DeadKernelError:
        sys.stderr.write(f"\nThe kernel of {sys.argv[1]} died, as one does that runs out of memory.\n")
        return 1
    finally:
        if executed.exists():
            _render(executed, page)
    return 0


def write_masked(executed: Path) -> None:
    """Let papermill write a notebook without the secrets of this process's environment, whenever it does."""
    from papermill.iorw import papermill_io  # noqa: PLC0415 as above

    papermill_io.register(str(executed), _Masked())


class _Masked:
    """Writes notebooks for papermill, which asks for it by the beginning of their paths."""

    def write(self, text: str, path: str) -> None:
        Path(path).write_text(masked_notebook(text, secrets_of(os.environ)), encoding="utf-8")

    def pretty_path(self, path: str) -> str:
        return path


def _parameters(source: Path) -> dict[str, Any]:
    """Return the task's parameters, and those of its run that the notebook declares."""
    import papermill  # noqa: PLC0415 as above

    file = Path(os.environ[variables.PARAMETERS_FILE])
    given: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of notebooks that name no language
        declared = papermill.inspect_notebook(str(source))
    own = {name: os.environ.get(variable) for name, variable in _OF_RUN.items() if name in declared}
    return {**own, **given}


def _kernel(named: str | None) -> str:
    """Return the kernel to run by: the notebook's own, or Python's where that is not installed here."""
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 as above

    if named in KernelSpecManager().find_kernel_specs():
        return str(named)
    if named is not None:
        sys.stderr.write(f"There is no kernel {named!r} here; python3 runs the notebook.\n")
    return "python3"


def _render(executed: Path, page: Path) -> None:
    from nbconvert import HTMLExporter  # noqa: PLC0415 as above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cells without ids, by older editors
        exporter: Any = HTMLExporter
        text, _ = exporter().from_filename(str(executed))
    page.write_text(text, encoding="utf-8")


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines())


if __name__ == "__main__":
    sys.exit(main())
