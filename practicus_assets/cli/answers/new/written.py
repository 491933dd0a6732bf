"""The answer of `new`: the files that it wrote, and the next commands."""

from collections.abc import Sequence
from pathlib import Path

from practicus_assets.cli.answers import output
from practicus_assets.wording import number_of


def print_written(
    what: str, folder: Path, files: Sequence[str], *, next_: Sequence[str], as_json: bool
) -> None:
    """Print what was written.

    Args:
        what: what was begun.
        folder: the folder that the files are in.
        files: their paths below it.
        next_: the commands that come next, in the working directory.
        as_json: whether programs read the answer.

    """
    if as_json:
        output.print_json({"folder": str(folder), "files": sorted(files)})
        return
    console, here = output.console(), Path.cwd()
    console.print(f"Wrote {what}, {number_of(len(files), 'file')}:", markup=False)
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    for path in sorted(files):
        console.print(f"  {shown / path}", markup=False, soft_wrap=True)
    console.print("Next, from this folder:")
    for line in next_:
        console.print(f"  {line}", markup=False, soft_wrap=True)
