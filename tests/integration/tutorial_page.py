"""docs/tutorial.md as steps: its blocks, the files that they are about, and what a command has to print."""

import re
from collections.abc import Iterator
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text(encoding="utf-8")
STARTS_A_SERVER = ["dg", "dev"]  # the words of the line that does not end


def steps() -> Iterator[tuple[str, str, str, str]]:
    """Yield the prose before each block, its language, its text, and the prose after it."""
    pieces = re.split(r"^```(\w*)\n(.*?)^```\n", PAGE, flags=re.DOTALL | re.MULTILINE)
    for at in range(0, len(pieces) - 1, 3):
        yield pieces[at], pieces[at + 1], pieces[at + 2], pieces[at + 3].strip()


def file_named(prose: str, project: Path) -> Path | None:
    """Return the file of the project that a block's prose names last."""
    named = re.findall(r"`((?:src|tests)/[\w/]+\.py)`", prose)
    return project / named[-1] if named else None


def fails(after: str) -> bool:
    """Return whether a command fails, by the prose after it."""
    return after.startswith("The run fails")


def missing(text: str, printed: str) -> list[str]:
    """Return the lines of a block of text that commands did not print."""
    return [line for line in text.splitlines() if stable(line) not in stable(printed)]


def change(file: Path, diff: str) -> None:
    """Take the lines of a diff out of a file, and put the others in."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] == sign) for sign in "-+")
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def stable(text: str) -> str:
    """Return what is the same in each run: without times, names of runs and widths of columns."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{8}\b", "RUN", re.sub(r"\b[\d.]+ s\b", "SECONDS", text))
    return " ".join(text.strip("… ").split())
