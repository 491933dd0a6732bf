"""Completion at the Tab key: names of tables and partitions, as the last command at a terminal found them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

from practicus_assets.cli.remembered import Names, remembered
from practicus_assets.code_location import CodeLocation, code_locations, selected
from practicus_assets.errors import PracticusAssetsError

Items = list["CompletionItem[Any]"]  # a text: in click 8.1 it takes no type

_PLAIN = re.compile(r"([^\w@%+=:,./-])")  # what bash takes as it is


def complete_tables(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Return the tables whose names begin so, but for those that are given already."""
    given = context.params.get(parameter.name or "")
    taken = set(given) if isinstance(given, tuple) else set()
    return _offered((name for name in _names(context) if name not in taken), incomplete)


def complete_first_table(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Return tables for the first of several words, or for all of them with `--against`."""
    is_first = not context.params.get(parameter.name or "")
    return (
        complete_tables(context, parameter, incomplete) if is_first or context.params.get("against") else []
    )


def complete_tables_or_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Return the tables whose names begin so; if there are none, the shell completes files."""
    return complete_tables(context, parameter, incomplete) or [CompletionItem(incomplete, type="file")]


def complete_partitions(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Return the partitions of the table that is given, or of all, without those that are given already."""
    names = _names(context)
    # before an option that lacks its value, click has not told arguments apart
    words = [str(context.params.get("table")), str(context.params.get("step")), *context.args]
    lists = [names[word] for word in words if word in names][:1] or names.values()
    given = context.params.get(parameter.name or "")
    taken = set(given) if isinstance(given, tuple) else set()
    return _offered(dict.fromkeys(key for keys in lists for key in keys if key not in taken), incomplete)


def complete_locations(context: click.Context, parameter: click.Parameter, incomplete: str) -> Items:
    """Return the code locations whose names begin so."""
    del parameter  # click's signature
    return _offered((one.name for one in _locations({**context.params, "location": None})), incomplete)


def _offered(values: Iterable[str], incomplete: str) -> Items:
    return [CompletionItem(value) for value in values if value.startswith(incomplete) and value.isprintable()]


def _names(context: click.Context) -> Names:
    return remembered(_locations(context.params))


def _locations(options: Mapping[str, Any]) -> list[CodeLocation]:
    """Return the code locations that a command's options name; none if they are wrong, which it will say."""
    try:
        names = ("module_name", "python_file", "workspace", "working_directory")
        locations = code_locations(*(options.get(name) for name in names))
        named = options.get("location")
        return locations if named is None else [selected(locations, named)]
    except (PracticusAssetsError, OSError, ValueError):
        return []


class _Bash(BashComplete):
    """Bash, which takes a word apart at `:` and `=`, and inserts what it is given as it is."""

    _known = 0  # characters of the word before the last colon, which stay as they are

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the incomplete one, and that; each of them as it was before."""
        args, incomplete = super().get_completion_args()
        words: list[str] = []
        is_open = False
        for word in [*(arg for arg in args if arg != "="), incomplete]:
            is_part = is_open or (word.startswith(":") and len(words) > 0)
            words[-1:] = [f"{words[-1]}{word}"] if is_part else [*words[-1:], word]
            is_open = word.endswith(":")
        self._known = words[-1].rfind(":") + 1
        return words[:-1], words[-1]

    def format_completion(self, item: "CompletionItem[Any]") -> str:
        """Return a value with its special characters quoted: for the shell, and for the script's `read`."""
        if item.type != "plain":
            return super().format_completion(item)
        quoted = _PLAIN.sub(r"\\\1", str(item.value)[self._known :])
        return "plain," + quoted.replace("\\", "\\\\").replace(",", "\\,")


add_completion_class(_Bash)
