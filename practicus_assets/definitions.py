"""Definitions: what the module or the file of a code location has, imported."""

import importlib
import importlib.util
import inspect
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import dagster as dg

from practicus_assets.code_location import CodeLocation, code_locations, no_file, no_module, selected
from practicus_assets.errors import DeclarationError, PracticusAssetsError
from practicus_assets.redaction import description

_FOREIGN = ("<", str(Path(__file__).parent), str(Path(traceback.__file__).parent))  # no lines of the author
_VALIDATE = "`dagster definitions validate` shows the whole traceback."


def _none() -> dg.Definitions:
    return dg.Definitions()


_DEFINITIONS_FUNCTION = type(dg.definitions(_none))


def definitions(
    module_name: str | None = None,
    python_file: str | None = None,
    workspace: str | None = None,
    working_directory: str | None = None,
    location: str | None = None,
) -> dg.Definitions:
    """Import the definitions of one code location.

    Args:
        module_name: see `code_locations`, as for the next three.
        python_file: see there.
        workspace: see there.
        working_directory: see there.
        location: the code location's name; needed where a workspace has several.

    Raises:
        DeclarationError: if they are not there, cannot be imported, or several are there and none is named.

    """
    locations = code_locations(module_name, python_file, workspace, working_directory)
    return definitions_of(selected(locations, location))


def definitions_of(location: CodeLocation) -> dg.Definitions:
    """Import the definitions of a code location.

    Raises:
        DeclarationError: if there is no such module or file, it cannot be imported, or it has several
            definitions.

    """
    with warnings.catch_warnings():  # about the author's use of Dagster, which dagster dev shows
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        _import_from(location.folder)
        with loading(location):
            module = (
                _imported_file(Path(location.file)) if location.file else _imported_module(location.module)
            )
            return _definitions(module, location.attribute)


@contextmanager
def loading(location: CodeLocation) -> Iterator[None]:
    """Turn what the author's code or Dagster raises into one error that names the line of the author's code.

    Raises:
        DeclarationError: in place of any error that is not of this package.

    """
    try:
        yield
    except PracticusAssetsError:
        raise
    except (Exception, SystemExit) as error:
        raise DeclarationError(
            f"the code location {location.name} cannot be loaded: {description(error)}{_place(error)}.",
            f"Fix it; {_VALIDATE}",
        ) from error


def _place(error: BaseException) -> str:
    """Return which line of the author's code an error comes from; empty where Dagster does not say it."""
    if isinstance(error, SyntaxError):
        return ""  # its text has the place
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if not file.startswith(_FOREIGN) and "site-packages" not in file:
            return f" ({file}, line {frame.lineno})"
    return ""


def _imported_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise no_module(name) from None


def _imported_file(path: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None or not path.exists():
        raise no_file(path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[path.stem] = module
    specification.loader.exec_module(module)
    return module


def _import_from(folder: str) -> None:
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _definitions(module: ModuleType, attribute: str) -> dg.Definitions:
    if attribute:
        value = getattr(module, attribute, None)
        value = value() if isinstance(value, _DEFINITIONS_FUNCTION) else value
        if not isinstance(value, dg.Definitions):
            raise DeclarationError(
                f"the module {module.__name__} has no Definitions named {attribute!r}.",
                "Fix the workspace's attribute.",
            )
        return value
    members = [value for _, value in inspect.getmembers(module)]
    functions = [value for value in members if isinstance(value, _DEFINITIONS_FUNCTION)]
    if functions:
        return functions[0]()
    candidates = [value for value in members if isinstance(value, dg.Definitions)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise DeclarationError(
            f"the module {module.__name__} has {len(candidates)} Definitions.",
            "Keep one of them there, or name one as the workspace's attribute.",
        )
    return dg.load_definitions_from_module(module)
