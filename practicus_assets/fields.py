"""Fields: a configuration class that is given a wrong one names the right one."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import ValidationError

from practicus_assets.errors import DeclarationError, did_you_mean
from practicus_assets.wording import readable

_WRITE = {  # what to write, by the beginning of pydantic's name for a problem
    "string": "Write a text.",
    "int": "Write a whole number.",
    "float": "Write a number.",
    "bool": "Write true or false.",
    "list": "Write a list.",
    "dict": "Write a mapping.",
}


class NamedFields:
    """What a configuration class is to inherit before Dagster's, which passes over unknown fields.

    Attributes:
        former_names: the present names of fields, by their former ones.
        other_fields: what to do instead, by the names of fields that classes like it have elsewhere.

    """

    former_names: ClassVar[Mapping[str, str]] = {}
    other_fields: ClassVar[Mapping[str, str]] = {}

    def __init__(self, *positional: Any, **fields: Any) -> None:
        kind = type(self)
        names = list(kind.model_fields)  # type: ignore[attr-defined] # pydantic's
        every = f"Its settings are {', '.join(names)}."
        if positional:
            raise DeclarationError(
                f"{kind.__name__} is given {positional[0]!r} without the name of a setting.", every
            )
        for name in fields:
            if name not in names and name in kind.other_fields:
                raise DeclarationError(f"{kind.__name__} has no setting {name!r}.", kind.other_fields[name])
            if name not in names:
                renamed = next((old for old in kind.former_names if did_you_mean(name, [old])), "")
                raise DeclarationError(
                    f"{kind.__name__} has no setting {name!r}.",
                    f"{'It' if renamed == name else renamed} is called {kind.former_names[renamed]} now."
                    if renamed
                    else did_you_mean(name, names, every),
                )
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _refused(kind.__name__, error.errors(include_url=False), fields) from None


def _refused(kind: str, problems: Sequence[Any], fields: Mapping[str, Any]) -> DeclarationError:
    """Return the error for what pydantic refuses, in our words."""
    sentences, advice = [], []
    for problem in problems:
        name = ".".join(map(str, problem["loc"]))
        value, reason = problem["input"], problem["type"].partition("_")[0]
        if value is None and fields.get(name) is None:
            sentences.append(f"{kind} lacks the setting {name!r}.")
            continue
        sentences.append(f"{kind}: {name} is {readable(value)}.")
        if "ge" in problem.get("ctx", {}):
            advice.append(f"Write {problem['ctx']['ge']:g} or more.")
        elif reason == "list" and isinstance(value, str):
            advice.append(f"Write [{value!r}].")
        else:
            advice.append(_WRITE.get(reason, f"{problem['msg']}."))
    return DeclarationError(" ".join(sentences), " ".join(advice))
