"""Remembered names: the tables and partitions that the last command at a terminal found, for completion.

They lie in the user's cache, one file for each choice of code locations; whatever is wrong with one, it is as
if it were not there.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from practicus_assets.code_location import CodeLocation

MOST_PARTITIONS = 1000
"""How many of a table's partitions are remembered, the newest ones."""

Names = Mapping[str, Sequence[str]]
"""The partitions of each table, the newest first, by its name."""


def remembered(locations: Sequence[CodeLocation]) -> Names:
    """Return the names that were last remembered of code locations; nothing if there are none."""
    try:
        known = json.loads(_file(locations).read_text(encoding="utf-8"))
        return {
            str(name): [] if index is None else list(map(str, known["partitions"][index]))
            for name, index in known["tables"].items()
        }
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def remember(locations: Sequence[CodeLocation], names: Names) -> None:
    """Remember the names of code locations, in place of those before; where that fails, they stay."""
    partitions: dict[tuple[str, ...], int] = {}
    tables = {
        name: partitions.setdefault(tuple(keys), len(partitions)) if keys else None
        for name, keys in names.items()
    }
    content = json.dumps({"tables": tables, "partitions": list(partitions)}).encode()
    with suppress(OSError, RuntimeError):  # no home, no space, or a folder that is only read
        file = _file(locations)
        if file.exists() and file.read_bytes() == content:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=file.parent)  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(written).replace(file)
        except OSError:
            Path(written).unlink(missing_ok=True)


def _file(locations: Sequence[CodeLocation]) -> Path:
    """Return where names are remembered; the locations' own names make no difference.

    Raises:
        RuntimeError: if the user has no home.

    """
    places = [
        [one.folder, one.module, str(Path(one.file).absolute()) if one.file else "", one.attribute]
        for one in locations
    ]
    digest = hashlib.sha256(json.dumps(places).encode()).hexdigest()[:16]
    cache = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
    return folder / "practicus-assets" / "completion" / f"{digest}.json"
