"""Pages of the reference that are made from docstrings, so that they cannot age: Python, commands, errors."""

import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import griffe

import practicus_assets
from practicus_assets import errors
from practicus_assets.cli import main

# A docstring may say one line on several parameters, which griffe calls a parameter without a type.
logging.getLogger("griffe").setLevel(logging.ERROR)

_REPOSITORY = Path(__file__).resolve().parents[2]
_KEYWORD = griffe.ParameterKind.keyword_only
_STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}
_INSIDE = {  # methods that Dagster or this package calls
    "dagster_internal_init",
    "field",
    "get_attributes_dict",
    "handle_output",
    "load_input",
    "of",
    "of_partitions",
    "refuse_undeclared",
    "scope",
    "send",
    "with_resources",
    "without_rows",
}
_ON_ERRORS = """An error's text names the table and its partitions, says what is wrong and what to do,
and ends with "Nothing was written." where that is so. Its class says which kind it is. All are imported
from `practicus_assets`. At a terminal and on a run's page its last line names the place here.
[When something fails](troubleshooting.md) begins with what you see."""
_WIDTH = 100  # characters, from which on a signature has one parameter per line


def python_page() -> str:
    """Return what every public name takes, gives and raises, by the room that it comes from."""
    package = _package()
    rooms: dict[str, list[str]] = {}
    for name in practicus_assets.__all__:
        member = package[name]
        target = member.final_target if isinstance(member, griffe.Alias) else member
        room = target.path.split(".")[1]
        if room != "errors":
            rooms.setdefault(room, []).append("\n\n".join(_entry(name, target)))
    parts = [
        "# Python",
        "Every name that `practicus_assets` has, by its docstring. Errors have [their page](errors.md).",
    ]
    for room in sorted(rooms):
        docstring = package[room].docstring
        parts += [f"## {room.capitalize()}", _prose(docstring.value.splitlines()[0]), *rooms[room]]
    return "\n\n".join(parts) + "\n"


def errors_page() -> str:
    """Return every class of error: what it means, what to do, and what it has beside its text."""
    tree = re.search(r"^( {4}PracticusAssetsError\n.*?)\n\n", errors.__doc__ or "", re.DOTALL | re.MULTILINE)
    drawing = re.sub("^ {4}", "", tree[1] if tree else "", flags=re.MULTILINE)
    parts = ["# Errors", _ON_ERRORS, f"```\n{drawing}\n```"]
    for member in _package()["errors"].classes.values():
        parts.append(f"## {member.name}")
        base = str(member.bases[0])
        parts.extend(_sections(member))
        parts.append(
            f"Caught by `except {member.name}`" + (f", or `except {base}`." if base != "Exception" else ".")
        )
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Return the help of every command."""
    parts = ["# Commands and exit codes", f"```\n{_help(main, 'practicus-assets')}\n```"]
    for path, command in _commands(main, "practicus-assets"):
        parts += [f"## {path.removeprefix('practicus-assets ')}", f"```\n{_help(command, path)}\n```"]
    return "\n\n".join(parts) + "\n"


@cache
def _package() -> griffe.Object:
    """Return what the files of the package say; none is imported."""
    return griffe.load("practicus_assets", search_paths=[_REPOSITORY], docstring_parser="google")


def _commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")


def _help(command: click.Command, path: str) -> str:
    names = main.context_settings["help_option_names"]
    context = click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=names
    )
    return click.unstyle(command.get_help(context)).rstrip()


def _entry(name: str, target: griffe.Object) -> Iterator[str]:
    yield f"### {name}"
    yield from _signature(name, target)
    yield from _sections(target)
    for member in target.members.values():
        if (
            isinstance(member, griffe.Function)
            and member.docstring
            and not member.name.startswith("_")
            and member.name not in _INSIDE
        ):
            yield f"#### {name}.{member.name}"
            if "property" not in member.labels:
                yield from _signature(member.name, member)
            yield from _sections(member)


def _signature(name: str, target: griffe.Object) -> Iterator[str]:
    """Yield the signature as a block; none where it says nothing, as of a class that takes fields."""
    if not isinstance(target, griffe.Function | griffe.Class):
        return
    parameters = [parameter for parameter in target.parameters if parameter.name not in {"self", "cls"}]
    if parameters and all(parameter.kind in _STARS for parameter in parameters):
        return
    words = []
    for before, parameter in zip([None, *parameters], parameters, strict=False):
        starred = before is not None and before.kind in {_KEYWORD, griffe.ParameterKind.var_positional}
        words += ["*"] if parameter.kind is _KEYWORD and not starred else []
        words.append(_parameter(parameter))
    returns = target.returns if isinstance(target, griffe.Function) else None
    end = f") -> {returns}" if returns is not None else ")"
    line = f"{name}({', '.join(words)}{end}"
    lines = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + end
    yield f"```python\n{line if len(line) <= _WIDTH else lines}\n```"


def _parameter(parameter: griffe.Parameter) -> str:
    stars = _STARS.get(parameter.kind, "")
    annotation = f": {parameter.annotation}" if parameter.annotation is not None else ""
    default = f" = {parameter.default}" if parameter.default is not None and not stars else ""
    return f"{stars}{parameter.name}{annotation}{default}"


def _sections(target: griffe.Object) -> Iterator[str]:
    """Yield the sections of a docstring as Markdown."""
    for section in target.docstring.parsed if target.docstring else ():
        if isinstance(section, griffe.DocstringSectionText):
            yield _prose(section.value)
        elif isinstance(section, griffe.DocstringSectionAdmonition):
            yield f"**{section.title}** {_prose(section.value.description)}"
        elif isinstance(section, griffe.DocstringSectionExamples):
            yield "\n\n".join(text for _, text in section.value)
        elif isinstance(section.value, list):
            yield f"**{section.kind.value.capitalize()}**"
            yield "\n".join(_item(item) for item in section.value)


def _item(item: griffe.DocstringElement) -> str:
    name = getattr(item, "name", "") or str(item.annotation or "")
    if name.endswith(","):  # one line of a docstring on several names
        name = f"{name} {item.annotation}"
    text = " ".join(_prose(item.description).split())
    return f"- `{name}`: {text}" if name else f"- {text}"


def _prose(text: str) -> str:
    """Return a docstring's text as Markdown takes it: no word is a tag, a star or an underline by mistake."""
    pieces = re.split(r"(`[^`]*`|^ {4}.*$)", text, flags=re.MULTILINE)
    return "".join(
        piece if index % 2 else re.sub(r"([<*_])", r"\\\1", piece) for index, piece in enumerate(pieces)
    )
