"""`new project`: what it wrote, and what to do with it."""

from pathlib import Path

from practicus_assets.cli.answers.new.written import print_written
from practicus_assets.starters.project import project_starter


def write_project(name: str, *, as_json: bool) -> None:
    """Write the starter of a project into the working directory, and print what it has.

    Args:
        name: the project's name.
        as_json: whether programs read the answer.

    """
    starter = project_starter(name)
    folder = starter.write(Path.cwd())
    next_ = (
        f"cd {name}",
        "pip install -e '.[dev]'",
        "export DAGSTER_HOME=$PWD/.dagster",
        "pytest",
        "dg launch --assets 'orders+' --partition-range 2026-01-01...2026-01-05",
        "dg dev",
    )
    print_written(name, folder, [*starter.files], next_=next_, as_json=as_json)
