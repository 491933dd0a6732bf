"""Checks of folders of Practicus AI: what nothing here follows, what is missing, and credentials."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from practicus_assets.doctor.finding import Finding, Section, failed, ok, warning
from practicus_assets.errors import DeclarationError
from practicus_assets.wording import number_of
from practicus_assets.workflows.practicus.absent_files import absent_files
from practicus_assets.workflows.practicus.credentials import credentials_in
from practicus_assets.workflows.practicus.folder import FOLDER, WITHOUT_COUNTERPART, dag_of, unread_of
from practicus_assets.workflows.practicus.worker_file import READ_BY_NOTHING

_SHOWN = 5
_SECRETS = (
    "Take it out, and give it by a Kubernetes Secret, Worker(secrets=[…]), or by a variable of the process. "
    "Whoever has the folder had it: replace it where it is valid."
)


def folders(definitions: dg.Definitions) -> Iterator[Section]:
    """Yield a section for each folder that `workflow_from_folder` read."""
    of_tasks: dict[str, list[str]] = {}
    for node in definitions.resolve_asset_graph().asset_nodes:
        path = _value(node.metadata.get(FOLDER))
        if path is not None:
            said = _value(node.metadata.get(WITHOUT_COUNTERPART)) or []
            of_tasks.setdefault(str(path), []).extend(said)
    for path, sentences in sorted(of_tasks.items()):
        yield Section(f"Folder {Path(path).name}", _findings(Path(path), sentences))


def _findings(folder: Path, of_tasks: list[str]) -> Iterator[Finding]:
    try:
        dag = dag_of(folder)
    except DeclarationError as error:
        yield failed("dag file", error.problem, error.advice)
        return
    yield ok("dag file", f"{number_of(len(dag.flow.tasks), 'task')} of {dag.name} read from {folder}")
    for sentence in dict.fromkeys([*unread_of(dag), *of_tasks]):
        if not sentence.endswith(READ_BY_NOTHING):  # a credential, which is told of below
            yield warning("counterpart", sentence, "Nothing here follows it: see that the tasks need it not.")
    for sentence in absent_files(folder, list(dag.flow.tasks)):
        yield warning("files", sentence, "Add the file, or correct its name.")
    for file, fields in credentials_in(folder).items():
        more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
        yield warning("credentials", f"{file} holds {', '.join(fields[:_SHOWN])}{more}", _SECRETS)


def _value(metadata: Any) -> Any:
    return getattr(metadata, "value", metadata)
