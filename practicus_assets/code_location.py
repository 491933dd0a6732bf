"""Code locations: where definitions come from, named as Dagster's own commands name them.

They are read from the same options, files and settings as `dagster dev` reads them, in the same order.
Nothing is imported, Dagster neither, so that a command that names none is refused at once.
"""

import importlib.util
import os
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from practicus_assets.errors import DeclarationError, did_you_mean

_KINDS = {"python_module": "module_name", "python_package": "package_name", "python_file": "relative_path"}


@dataclass(frozen=True)
class CodeLocation:
    """One code location: a module or a file with definitions.

    Attributes:
        name: the location's name, as Dagster shows it.
        folder: where imports begin.
        module: the module's name; empty for a file.
        file: the file's path; empty for a module.
        attribute: the name of the definitions in it; empty for the only ones.
        executable: the Python that runs it; empty for the one that runs this.

    """

    name: str
    folder: str
    module: str = ""
    file: str = ""
    attribute: str = ""
    executable: str = ""


def code_locations(
    module_name: str | None = None,
    python_file: str | None = None,
    workspace: str | None = None,
    working_directory: str | None = None,
) -> list[CodeLocation]:
    """Return the code locations that are named; there is at least one. Nothing is imported.

    Args:
        module_name: the name of a module.
        python_file: the path of a file.
        workspace: the path of a `workspace.yaml`. Without any of the three it is what `pyproject.toml` names
            for Dagster, else the `workspace.yaml` in the working directory.
        working_directory: the folder where imports begin; by default the current one.

    Raises:
        DeclarationError: if none are named, or the workspace has an entry that is no Python code.

    """
    folder = Path(working_directory or ".").resolve()
    if sum(name is not None for name in (module_name, python_file, workspace)) > 1:
        raise DeclarationError("-m, -f and -w name several code locations.", "Give one of them.")
    locations = list(_named(folder, module_name, python_file, workspace))
    if not locations:
        raise DeclarationError(
            f"no definitions are named, and {folder} has neither a workspace.yaml nor a pyproject.toml "
            "that names them.",
            "Give -m MODULE, -f FILE or -w WORKSPACE.",
        )
    count = Counter(location.name for location in locations)
    return [
        replace(location, name=f"{location.name}@{os.path.relpath(location.folder)}")
        if count[location.name] > 1
        else location
        for location in locations
    ]


def selected(locations: Sequence[CodeLocation], name: str | None) -> CodeLocation:
    """Return the code location of a name, or the only one if no name is given.

    Raises:
        DeclarationError: if there are several and none is named, or none has that name.

    """
    names = [location.name for location in locations]
    if name is None and len(locations) == 1:
        return locations[0]
    if name is None:
        raise DeclarationError(
            f"there are several code locations: {', '.join(names)}.", "Name one with --location."
        )
    if name not in names:
        raise DeclarationError(
            f"there is no code location {name!r}.",
            did_you_mean(name, names, f"There are {', '.join(names)}."),
        )
    return locations[names.index(name)]


def refuse_absent(location: CodeLocation) -> None:
    """Refuse a code location whose file, or whose module's outermost package, is not there.

    Raises:
        DeclarationError: if so. What another Python runs may have its modules elsewhere, and is not refused.

    """
    if location.file and not Path(location.file).exists():
        raise no_file(location.file)
    package = location.module.partition(".")[0]
    if package and not location.executable and not _exists(package, location.folder):
        raise no_module(location.module)


def no_file(path: str | Path) -> DeclarationError:
    """Return the error for a Python file that is not there."""
    return DeclarationError(f"there is no Python file {path}.", "Fix -f, or the workspace.")


def no_module(name: str) -> DeclarationError:
    """Return the error for a module that is not there."""
    return DeclarationError(
        f"there is no module {name!r} here.", "Give -m the name that dagster is started with."
    )


def _exists(package: str, folder: str) -> bool:
    """Return whether a package or a module can be imported; a package inside of another would be imported."""
    if PathFinder.find_spec(package, [folder]) is not None:
        return True
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module that was loaded without a specification, such as __main__
        return True


def _named(
    folder: Path, module_name: str | None, python_file: str | None, workspace: str | None
) -> Iterator[CodeLocation]:
    if module_name is not None:
        yield CodeLocation(module_name, str(folder), module=module_name)
    elif python_file is not None:
        yield CodeLocation(Path(python_file).name, str(folder), file=python_file)
    elif workspace is not None:
        yield from _of_workspace(Path(workspace))
    else:
        locations = list(_of_project(folder))
        for name in ("workspace.yaml", "workspace.yml"):
            if not locations and (folder / name).exists():
                locations = list(_of_workspace(folder / name))
        yield from locations


def _of_project(folder: Path) -> Iterator[CodeLocation]:
    """Yield what `pyproject.toml` names for `dagster dev` or `dg`."""
    path = folder / "pyproject.toml"
    if not path.exists():
        return
    tool = tomllib.loads(path.read_text()).get("tool", {})
    dagster, project = tool.get("dagster", {}), tool.get("dg", {}).get("project", {})
    if "module_name" in dagster:
        modules, names = [dagster["module_name"]], dagster
    elif "modules" in dagster:
        modules, names = [module["name"] for module in dagster["modules"]], {}
    elif project:
        default = f"{project.get('root_module')}.definitions"
        modules, names = [project.get("code_location_target_module", default)], project
    else:
        return
    for module in modules:
        yield CodeLocation(names.get("code_location_name", module), str(folder), module=module)


def _of_workspace(path: Path) -> Iterator[CodeLocation]:
    import yaml  # noqa: PLC0415 half as slow as click, and most commands are given -m or -f

    try:
        entries = (yaml.safe_load(path.read_text()) or {}).get("load_from", ())
    except (OSError, yaml.YAMLError) as error:
        raise DeclarationError(
            f"the workspace {path} cannot be read: {error}", "Fix it, or the option -w."
        ) from None
    for entry in entries:
        yield _of_entry(path, entry)


def _of_entry(path: Path, entry: Mapping[str, Any]) -> CodeLocation:
    kind = next((kind for kind in _KINDS if kind in entry), None)
    if kind is None:
        raise DeclarationError(
            f"{path} has an entry that is no Python code: {sorted(entry)}.", "Name its code with -m or -f."
        )
    value = entry[kind]
    target: Mapping[str, Any] = value if isinstance(value, Mapping) else {_KINDS[kind]: value}
    code = target[_KINDS[kind]]
    file = (path.parent / code).resolve() if kind == "python_file" else None
    attribute = target.get("attribute", "")
    default = (file.name if file is not None else code) + (f":{attribute}" if attribute else "")
    return CodeLocation(
        name=target.get("location_name", default),
        folder=str((path.parent / target.get("working_directory", ".")).resolve()),
        module="" if file is not None else code,
        file=str(file or ""),
        attribute=attribute,
        executable=target.get("executable_path", ""),
    )
