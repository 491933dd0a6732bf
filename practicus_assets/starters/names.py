"""Names of what is begun: they are those of modules, files, assets and jobs at the same time."""

import ast
import importlib.metadata
import keyword
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from functools import cache

from practicus_assets.errors import DeclarationError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


def refuse_name(what: str, name: str) -> None:
    """Refuse a name that cannot be that of a module, or that hides one.

    Args:
        what: what has the name, such as "workflow".
        name: the name.

    Raises:
        DeclarationError: if so.

    """
    refuse_identifier(what, name)
    if name in sys.stdlib_module_names or name in _installed():
        raise DeclarationError(
            f"a {what} that is called {name!r} would hide the module of that name, which is installed here.",
            "Take another name.",
        )


def refuse_identifier(what: str, name: str) -> None:
    """Refuse a name that cannot be that of a function, of a module in a package, and of an asset.

    Args:
        what: what has the name, such as "table".
        name: the name.

    Raises:
        DeclarationError: if so.

    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise DeclarationError(
            f"{name!r} is no name of a {what}.",
            "Take letters, digits and _, a letter first, and no word of Python.",
        )


def refuse_used(what: str, name: str, texts: Iterable[str]) -> None:
    """Refuse a name that means something else in the Python files that are written.

    Args:
        what: what has the name, such as "table".
        name: the name.
        texts: the Python files, with another name in its place.

    Raises:
        DeclarationError: if so.

    """
    if any(name in _meanings(text) for text in texts):
        raise DeclarationError(
            f"a {what} that is called {name!r} would hide what its own files mean by that name.",
            "Take another name.",
        )


def _meanings(text: str) -> set[str]:
    """Return the names that a Python file uses or gives; attributes and arguments are none of them."""
    nodes = [*ast.walk(ast.parse(text))]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return used | {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}


@cache
def _installed() -> Collection[str]:
    """Return the modules that are installed, for which the files of every package are looked through."""
    return importlib.metadata.packages_distributions()


def refuse_tasks(names: Sequence[str]) -> None:
    """Refuse names of tasks that cannot be those of files which lie in one folder, beside worker files.

    Raises:
        DeclarationError: naming the first that cannot.

    """
    seen: dict[str, str] = {}
    for name in names:
        refuse_name("task", name)
        if name == "default" or name.endswith(("_dag", "_worker")):
            raise DeclarationError(
                f"a task that is called {name!r} would have the file of something else, such as "
                "default_worker.json.",
                "Take another name.",
            )
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise DeclarationError(
                f"the tasks {other!r} and {name!r} differ in capitals alone, which some file systems ignore.",
                "Rename one.",
            )
