"""`new source`: what it wrote, and what to do with it."""

from pathlib import Path

from practicus_assets.cli.answers.new.written import print_written
from practicus_assets.starters.here import Project
from practicus_assets.starters.source import source_addition
from practicus_assets.starters.system import SYSTEMS


def write_source(name: str, kind: str, *, as_json: bool) -> None:
    """Write a source into the project that the working directory is in, and print its files.

    Args:
        name: the source's name.
        kind: the kind of system that it is in: one of `SYSTEMS`.
        as_json: whether programs read the answer.

    """
    system = SYSTEMS[kind]
    project = Project.around(Path.cwd())
    addition = source_addition(name, system, project)
    addition.write(project.root)
    install = [f"pip install 'practicus-assets[{system.extra}]'"] if system.extra else []
    variables = [f"export {variable.name}=…" for variable in system.login(name).values()]
    next_ = (*install, *variables, f"pytest -k {name}", "dg check defs")
    print_written(name, project.root, [*addition.files], next_=next_, as_json=as_json)
