"""`new table`: what it wrote, and what to do with it."""

from pathlib import Path

from practicus_assets.cli.answers.new.written import print_written
from practicus_assets.starters.here import Project
from practicus_assets.starters.table import table_addition


def write_table(name: str, *, as_json: bool) -> None:
    """Write a table into the project that the working directory is in, and print its files.

    Args:
        name: the table's name.
        as_json: whether programs read the answer.

    """
    project = Project.around(Path.cwd())
    addition = table_addition(name, project)
    addition.write(project.root)
    next_ = (f"pytest -k {name}", "dg check defs", f"dg launch --assets {name}")
    print_written(name, project.root, [*addition.files], next_=next_, as_json=as_json)
