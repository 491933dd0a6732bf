"""The files that `dg scaffold defs` writes beside a component's own."""

from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, and the folders that it is in.

    Raises:
        FileExistsError: it is there.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def script(name: str) -> str:
    """Return a script that says that it runs."""
    return f'"""The task {name}."""\n\nprint("{name} runs")\n'
