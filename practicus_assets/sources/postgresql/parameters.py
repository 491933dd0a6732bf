"""Parameters: values of a COPY, which takes none, as settings of its transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from practicus_assets.errors import OutOfScope
from practicus_assets.lake.partitions.bounds import Range
from practicus_assets.lake.partitions.values import Value
from practicus_assets.sources.sql.conditions import Operand, Parameters

_FEW_RANGES = 3


@dataclass(frozen=True)
class NativeOperand(Operand):
    """What a condition is on, in PostgreSQL.

    Attributes:
        is_enum: whether its type is an enum, to which no text can be cast that is none of its labels.

    """

    is_enum: bool = False


class SettingParameters(Parameters[NativeOperand]):
    """Values that a statement reads from its transaction's settings, where a bound parameter puts them.

    A setting is stable for the planner, so it estimates with its value and uses indexes. Where there is no
    index, each row reads it again; so many of them are read once, by a query of their own, of whose value the
    planner knows nothing.

    Attributes:
        values: the values as PostgreSQL reads them, in the order of their settings.

    """

    def __init__(self) -> None:
        self.values: list[str] = []
        self._reads_once = False

    def one(self, value: Value, operand: NativeOperand) -> str:
        """Bind one value; see `Parameters.one`."""
        read = f"{self._setting(_text(value, operand.text))}::{operand.native}"
        return f"(SELECT {read})" if self._reads_once else f"({read})"

    def equals_any(self, operand: NativeOperand, values: Sequence[Value]) -> str:
        """Bind a list of values; see `Parameters.equals_any`."""
        if operand.is_enum:
            array = self._setting(array_text([_text(value, operand.text) for value in values]))
            labels = f"unnest(enum_range(NULL::{operand.native})) AS label"
            known = f"SELECT label FROM {labels} WHERE label::text = ANY ({array}::text[])"
            return f"{operand.text} = ANY (ARRAY({known}))"
        if len(values) == 1:
            return f"{operand.text} = {self.one(values[0], operand)}"
        array = array_text([_text(value, operand.text) for value in values])
        type_ = f"{operand.native}[]"
        return f"{operand.text} = ANY ((SELECT {self._setting(array)}::{type_})::{type_})"

    def within(self, operand: NativeOperand, ranges: Sequence[Range]) -> str:
        """Bind the ends of ranges; see `Parameters.within`."""
        self._reads_once = len(ranges) > _FEW_RANGES
        try:
            return super().within(operand, ranges)
        finally:
            self._reads_once = False

    def _setting(self, text: str) -> str:
        self.values.append(text)
        return f"pg_catalog.current_setting('practicus_assets.p{len(self.values) - 1}')"


def array_text(values: Sequence[str]) -> str:
    """Return texts as PostgreSQL writes an array of them."""
    parts = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{part}"' for part in parts) + "}"


def _text(value: Value, column: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        text = str(value)
        if "\0" in text:
            raise OutOfScope(f"{text!r} is no value of {column}: PostgreSQL's texts have no null character.")
        return text
    return value.isoformat()
