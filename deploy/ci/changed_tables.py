"""Print the tables that a change of code concerns, inputs before what reads them: key, tab, partition.

    python changed_tables.py MODULE GIT_REF

A table is concerned if a file changed since GIT_REF that the module of its function is, or imports, directly
or not. All tables are, if a file changed that is neither such a module nor documentation nor a test: nobody
knows what reads it. The partition is the newest one, and empty for a table without partitions.
"""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path, PurePosixPath

from practicus_assets.assets.catalog import catalog
from practicus_assets.code_location import code_locations
from practicus_assets.definitions import definitions_of

HARMLESS_SUFFIXES = {".md", ".rst", ".txt"}
HARMLESS_FOLDERS = {"docs", "tests", ".github"}


def changed_files(top: Path, ref: str) -> set[Path]:
    """Return the files of a repository that changed since the common ancestor with a Git reference."""
    names = _git("diff", "--name-only", "-z", f"{ref}...HEAD", "--").split("\0")
    return {(top / name).resolve() for name in names if name and not _is_harmless(PurePosixPath(name))}


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def _is_harmless(name: PurePosixPath) -> bool:
    return name.suffix in HARMLESS_SUFFIXES or bool(HARMLESS_FOLDERS & set(name.parts[:-1]))


def imported(module: str, top: Path, seen: dict[str, Path]) -> None:
    """Add a module's file, and those of all modules of this repository that it imports, to `seen`."""
    if module in seen:
        return
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):  # a name in a module, or what is not installed
        return
    path = Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None
    if path is None or path.suffix != ".py" or top not in path.parents or "site-packages" in path.parts:
        return
    seen[module] = path
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    parents = module.split(".")[:-1]
    names = {".".join(parents[: depth + 1]) for depth in range(len(parents))}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*parts, *([node.module] if node.module else [])])
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    for name in sorted(names):
        imported(name, top, seen)


def main(module: str, ref: str) -> None:
    """Print the tables."""
    [location] = code_locations(module, None, None, None)
    definitions = definitions_of(location)
    graph = definitions.resolve_asset_graph()
    tables = {entry.key: entry for entry in catalog(definitions).values() if entry.is_written}
    top = Path(_git("rev-parse", "--show-toplevel").strip()).resolve()
    files = {}
    for key in tables:
        function = graph.get(key).assets_def.op.compute_fn
        seen: dict[str, Path] = {}
        imported(getattr(function, "decorated_fn", function).__module__, top, seen)
        files[key] = set(seen.values())
    changed = changed_files(top, ref)
    everything = bool(changed - set().union(*files.values()))
    for key in graph.toposorted_asset_keys:
        if key in tables and (everything or changed & files[key]):
            partitions_def = tables[key].partitions_def
            last = partitions_def.get_last_partition_key() if partitions_def is not None else ""
            print(f"{key.to_user_string()}\t{last or ''}")


if __name__ == "__main__":
    main(*sys.argv[1:])
