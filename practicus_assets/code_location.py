"""The code location: the definitions that a command is about, named as Dagster's own commands name them."""

import importlib
import importlib.util
import inspect
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click
import dagster as dg
import yaml

from practicus_assets.errors import DeclarationError

Command = TypeVar("Command", bound=Callable[..., Any])


def _none() -> dg.Definitions:
    return dg.Definitions()


_DEFINITIONS_FUNCTION = type(dg.definitions(_none))


def options(command: Command) -> Command:
    """Give a command the options `-m`, `-f`, `-w` and `-d`, which `definitions` takes by these names."""
    for option in (
        click.option(
            "-d", "--working-directory", envvar="DAGSTER_WORKING_DIRECTORY", help="Import from here."
        ),
        click.option(
            "-w", "--workspace", type=click.Path(), help="workspace.yaml; the default if it is there."
        ),
        click.option("-f", "--python-file", envvar="DAGSTER_PYTHON_FILE", help="File of the definitions."),
        click.option("-m", "--module-name", envvar="DAGSTER_MODULE_NAME", help="Module of the definitions."),
    ):
        command = option(command)
    return command


def definitions(
    module_name: str | None = None,
    python_file: str | None = None,
    workspace: str | None = None,
    working_directory: str | None = None,
) -> dg.Definitions:
    """Load the definitions of a code location; of several in a workspace, all of them together.

    Args:
        module_name: a module to import.
        python_file: a file to run.
        workspace: a `workspace.yaml`. Without any of the three it is the one in the working directory, else
            the module that `pyproject.toml` names for `dagster dev` or `dg`.
        working_directory: where imports begin; by default the current one.

    Raises:
        DeclarationError: if no definitions are found.

    """
    found = [_definitions(each) for each in modules(module_name, python_file, workspace, working_directory)]
    return found[0] if len(found) == 1 else dg.Definitions.merge(*found)


def modules(
    module_name: str | None = None,
    python_file: str | None = None,
    workspace: str | None = None,
    working_directory: str | None = None,
) -> list[ModuleType]:
    """Import the modules that `definitions` takes them from; there is at least one.

    They are named in the same ways.

    Raises:
        DeclarationError: if none are named, or they are not found.

    """
    folder = Path(working_directory or ".").resolve()
    if sum(given is not None for given in (module_name, python_file, workspace)) > 1:
        raise DeclarationError("-m, -f and -w name several code locations.", "Give one of them.")
    with warnings.catch_warnings():  # about the author's use of Dagster, which dagster dev shows
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        found = list(_modules(folder, module_name, python_file, workspace))
    if not found:
        raise DeclarationError(
            f"no definitions are named, and {folder} has neither a workspace.yaml nor a pyproject.toml "
            "that names them.",
            "Give -m MODULE, -f FILE or -w WORKSPACE.",
        )
    return found


def _modules(
    folder: Path, module_name: str | None, python_file: str | None, workspace: str | None
) -> Iterator[ModuleType]:
    default = folder / "workspace.yaml"
    if module_name is not None:
        yield _module(module_name, folder)
    elif python_file is not None:
        yield _file(Path(python_file), folder)
    elif workspace is not None or default.exists():
        path = Path(workspace) if workspace is not None else default
        for entry in (yaml.safe_load(path.read_text()) or {}).get("load_from", ()):
            yield from _of_workspace(path, entry)
    elif (folder / "pyproject.toml").exists():
        tool = tomllib.loads((folder / "pyproject.toml").read_text()).get("tool", {})
        project = tool.get("dg", {}).get("project", {})
        name = tool.get("dagster", {}).get("module_name") or project.get("code_location_target_module")
        if name is not None:
            yield _module(name, folder)


def _of_workspace(path: Path, entry: Mapping[str, Any]) -> Iterator[ModuleType]:
    for kind, key in (
        ("python_module", "module_name"),
        ("python_package", "package_name"),
        ("python_file", "relative_path"),
    ):
        if kind not in entry:
            continue
        target = entry[kind] if isinstance(entry[kind], Mapping) else {key: entry[kind]}
        folder = (path.parent / target.get("working_directory", ".")).resolve()
        yield (
            _file(path.parent / target[key], folder)
            if kind == "python_file"
            else _module(target[key], folder)
        )
        return
    raise DeclarationError(
        f"{path} has an entry that is no Python code: {sorted(entry)}.", "Name its code with -m or -f."
    )


def _module(name: str, folder: Path) -> ModuleType:
    _import_from(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise DeclarationError(
            f"there is no module {name!r} here.", "Give -m the name that dagster is started with."
        ) from None


def _file(path: Path, folder: Path) -> ModuleType:
    _import_from(folder)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None or not path.exists():
        raise DeclarationError(f"there is no Python file {path}.", "Mend -f, or the workspace.")
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def _import_from(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _definitions(module: ModuleType) -> dg.Definitions:
    members = [value for _, value in inspect.getmembers(module)]
    functions = [value for value in members if isinstance(value, _DEFINITIONS_FUNCTION)]
    if functions:
        return functions[0]()
    found = [value for value in members if isinstance(value, dg.Definitions)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DeclarationError(
            f"the module {module.__name__} has {len(found)} Definitions.", "Keep one of them there."
        )
    return dg.load_definitions_from_module(module)
