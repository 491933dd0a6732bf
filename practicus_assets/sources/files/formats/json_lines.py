"""JSON lines: one JSON object per row, with declared columns."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.json

from practicus_assets.errors import DataRefused, SchemaMismatch
from practicus_assets.sources.files.formats.format import Format, Wanted
from practicus_assets.sources.files.formats.open_file import OpenFile

_BLOCK = 4 * 2**20  # bytes
_ROW = re.compile(r",? in row (\d+)")
_VALUE = re.compile(r"(couldn't parse:|Failed to convert JSON to [^:]+: )(.*)", re.DOTALL)


@dataclass(frozen=True)
class JSONLines(Format):
    """JSON lines, also called NDJSON; a member that a row lacks is null, others are not read."""

    name: ClassVar[str] = "json"

    @property
    def names_columns(self) -> bool:
        """Objects have members, and each may have others."""
        return False

    def schema(self, file: OpenFile) -> pa.Schema | None:
        """Refuse to guess: the same member may be a number here and a text there."""
        raise SchemaMismatch(
            f"{file.name} has no schema: JSON says the type of each value, and not of a column.",
            'Declare the columns: columns={"id": "int64", "name": "string", ...}.',
        )

    def rows(self, file: OpenFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Stream the rows."""
        types = [pa.field(field.name, _as_parsed(field.type)) for field in wanted.schema]
        options = pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(types), unexpected_field_behavior="ignore", newlines_in_values=False
        )
        read = pyarrow.json.ReadOptions(use_threads=False, block_size=_BLOCK)
        row = 0
        with file.stream() as stream:
            try:
                for batch in pyarrow.json.open_json(stream, read, options):
                    batch.validate(full=True)  # pyarrow takes texts that are no UTF-8
                    parsed = [
                        batch.column(field.name)
                        if batch.schema.field(field.name).type == field.type
                        else batch.column(field.name).cast(field.type)
                        for field in wanted.schema
                    ]
                    yield wanted.fitted(pa.record_batch(parsed, wanted.schema.names), row)
                    row += batch.num_rows
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                if str(error) != "Empty JSON stream":
                    raise _refused(file.name, str(error), row) from None


def _as_parsed(type_: pa.DataType) -> pa.DataType:
    """Return the type in which pyarrow is to parse: times as texts, for it takes none for UTC."""
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return pa.string()
    if pa.types.is_list(type_):
        return pa.list_(pa.field("element", _as_parsed(type_.value_type)))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _as_parsed(field.type)) for field in type_])
    return type_


def _refused(file: str, text: str, rows_before: int) -> DataRefused:
    row = _ROW.search(text)
    place = f"{file}, row {rows_before + int(row[1]) + 1}" if row else f"{file}, after row {rows_before}"
    text = _ROW.sub("", text.removeprefix("JSON parse error: ")).rstrip(".")
    value = _VALUE.search(text)
    sample = f"The value is {value[2]!r}." if value else ""
    text = f"{text[: value.start(2)]}".rstrip(": ") if value else text
    return DataRefused(f"{place}: {text}.", "Correct the file, or the declared columns.", sample)
