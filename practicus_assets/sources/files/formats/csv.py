"""CSV files: texts between delimiters, read as declared columns, or else as texts."""

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.csv

from practicus_assets.errors import DataRefused, DeclarationError, SchemaMismatch
from practicus_assets.parameters import named_parameters
from practicus_assets.sources.files.formats.csv_text import CSVText, Dialect
from practicus_assets.sources.files.formats.format import Format, Wanted
from practicus_assets.sources.files.formats.one_schema import refuse_doubled
from practicus_assets.sources.files.formats.open_file import OpenFile
from practicus_assets.wording import in_short

_LONGEST_SAMPLE = 120
_ROW = re.compile(r"Row #(\d+): ")
_COLUMN = re.compile(r"In CSV column #(\d+): ")
_COUNTS = re.compile(r"CSV parse error: Expected (\d+) columns, got (\d+)(?:: (.*))?", re.DOTALL)
_VALUE = re.compile(r"(.*?)(?: in)? '(.*)'(.*)", re.DOTALL)


@named_parameters
@dataclass(frozen=True)
class CSV(Format):
    """How the text of CSV files is written.

    Attributes:
        delimiter: the character between values.
        quote: the character around values; None if there is none. Within quotes it is written twice.
        escape: the character that takes its meaning from the next one; None if there is none.
        header: whether the first row has the columns' names; without, `columns` names them in order.
        skip_lines: how many lines come before the header.
        encoding: how the text is encoded, by Python's name.
        nulls: the texts that are null where they stand without quotes.
        quoted_nulls: whether they are null within quotes, too.
        decimal_point: the character before the decimals.
        time_formats: how dates and times are written, by strptime; by default as ISO 8601 says.
        block_bytes: how much is parsed at once; no row may be longer.

    """

    name: ClassVar[str] = "csv"

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    header: bool = True
    skip_lines: int = 0
    encoding: str = "utf-8"
    nulls: Sequence[str] = ("",)
    quoted_nulls: bool = False
    decimal_point: str = "."
    time_formats: Sequence[str] = ()
    block_bytes: int = 2 * 2**20

    def __post_init__(self) -> None:
        """Refuse options that would be read as something else."""
        for name in ("delimiter", "quote", "escape", "decimal_point"):
            value = getattr(self, name)
            optional = name in {"quote", "escape"}
            if not (optional and value is None) and not (isinstance(value, str) and len(value.encode()) == 1):
                raise DeclarationError(
                    f"CSV: {name}={value!r} is not one character of ASCII.", "Write one, e.g. ';' or '\\t'."
                )
        for name in ("nulls", "time_formats"):
            if isinstance(getattr(self, name), str):
                raise DeclarationError(
                    f"CSV: {name} is a text.", f"Write a list: {name}=[{getattr(self, name)!r}]."
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise DeclarationError(
                f"CSV: there is no encoding {self.encoding!r}.", "Write Python's name, e.g. 'latin-1'."
            ) from None

    @property
    def names_columns(self) -> bool:
        """Whether there is a header."""
        return self.header

    @property
    def _dialect(self) -> Dialect:
        return Dialect(
            self.delimiter, self.quote, self.escape, self.encoding, self.skip_lines, header=self.header
        )

    def schema(self, file: OpenFile) -> pa.Schema | None:
        """Return the columns of the header, as texts; None if the file is empty."""
        if not self.header:
            raise SchemaMismatch(f"{file.name} has no header.", "Name its columns in order: columns={...}.")
        with file.stream() as stream:
            names = CSVText(stream, self._dialect, file.name).header
        if names is None:
            return None
        if "" in names:
            raise SchemaMismatch(
                f"{file.name} has a column without a name: number {names.index('') + 1} of {len(names)}.",
                "Declare the columns to read: columns={...}.",
            )
        return pa.schema([(name, pa.string()) for name in names])

    def rows(self, file: OpenFile, wanted: Wanted) -> Iterator[pa.RecordBatch]:
        """Stream the rows."""
        with file.stream() as stream:
            text = CSVText(stream, self._dialect, file.name)
            names = text.header if self.header else wanted.schema.names
            if names is None or text.is_empty:
                return
            present = wanted.present(file.name, names)
            refuse_doubled(file.name, [name for name in names if name in present])
            if self.header:  # pyarrow goes by names, and those that nobody reads may be doubled
                names = [name if name in present else f"\x00{i}" for i, name in enumerate(names)]
            row = 0
            try:
                for batch in self._parsed(text, names, present or names[:1], wanted.schema):
                    yield wanted.fitted(batch.select(present), row)
                    row += batch.num_rows
            except pa.ArrowInvalid as error:
                raise self._refused(file.name, str(error), names, text.lines_before) from None
            text.refuse_open_quote()

    def _parsed(
        self, text: CSVText, names: Sequence[str], present: Sequence[str], types: pa.Schema
    ) -> pa.RecordBatchReader:
        """Return the parsed columns of a file."""
        return pyarrow.csv.open_csv(
            pa.PythonFile(text, mode="r"),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=self.block_bytes, column_names=list(names)),
            pyarrow.csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self.quote or False,
                double_quote=self.quote is not None,
                escape_char=self.escape or False,
                newlines_in_values=True,
            ),
            pyarrow.csv.ConvertOptions(
                include_columns=list(present),
                column_types={field.name: self._as_parsed(field.type) for field in types},
                null_values=list(self.nulls),
                strings_can_be_null=True,
                quoted_strings_can_be_null=self.quoted_nulls,
                decimal_point=self.decimal_point,
                timestamp_parsers=list(self.time_formats),
            ),
        )

    def _as_parsed(self, type_: pa.DataType) -> pa.DataType:
        """Return the type in which pyarrow is to parse; it applies formats to times, and not to dates."""
        return pa.timestamp("us") if pa.types.is_date(type_) and self.time_formats else type_

    def _refused(self, file: str, text: str, names: Sequence[str], lines_before: int) -> DataRefused:
        """Return the error for what pyarrow refuses, in our words."""
        row, column = _ROW.search(text), _COLUMN.search(text)
        place = f"{file}, row {int(row[1]) + lines_before}" if row else file
        text = _ROW.sub("", text)
        counts = _COUNTS.fullmatch(text)
        if counts is not None:
            return SchemaMismatch(
                f"{place}: it has {counts[2]} values, and there are {counts[1]} columns.",
                "Correct the file: a value may hold the delimiter or a quote without being quoted.",
                f"The row is {in_short(counts[3] or '', _LONGEST_SAMPLE)!r}.",
            )
        if "straddling object" in text:
            return DataRefused(
                f"{file} has a row of more than {self.block_bytes:,} bytes, or a quote that is never closed.",
                "Correct the file, or raise block_bytes.",
            )
        text = _COLUMN.sub("", text).removeprefix("CSV conversion error to ")
        name = names[int(column[1])] if column and int(column[1]) < len(names) else ""
        value = _VALUE.fullmatch(text)
        sample = f"The value is {in_short(value[2], _LONGEST_SAMPLE)!r}." if value else ""
        reason = f"{value[1]}".rstrip(": ") if value else text.rstrip(".")
        advice = "Correct the file, or declare another type for the column."
        if value and not value[2].strip():
            advice = "An empty value within quotes is a text; quoted_nulls=True makes it null."
        elif "expected a zone offset" in text:
            advice = "Declare timestamp_ntz for times without a zone, and give them one in the asset."
        elif "UTF8" in text:
            return DataRefused(
                f"{place}: column {name!r} is not {self.encoding}.",
                "Name its encoding, e.g. encoding='latin-1' or 'cp1252', or correct the file.",
            )
        return DataRefused(f"{place}: a value of column {name!r} cannot be read as {reason}.", advice, sample)
