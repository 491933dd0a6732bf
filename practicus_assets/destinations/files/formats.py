"""Formats: rows as the bytes of a Parquet or a CSV file."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from practicus_assets.destinations.files.objects import Upload
from practicus_assets.destinations.json_values import json_texts, refuse_unwritable
from practicus_assets.errors import DeclarationError, SchemaMismatch

MARKER = b"practicus_export"  # in the metadata of a Parquet file
_SUFFIXES = (".parquet", ".csv", ".csv.gz")


def suffix_of(path: str) -> str:
    """Return the end of a path that says its format.

    Raises:
        DeclarationError: if it says none.

    """
    found = next((suffix for suffix in reversed(_SUFFIXES) if path.lower().endswith(suffix)), None)
    if found is None:
        raise DeclarationError(
            f"the end of {path!r} does not say in which format it is written.",
            f"End it with {', '.join(_SUFFIXES)}.",
        )
    return found


def written(
    upload: Upload, suffix: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch], marker: bytes
) -> int:
    """Write rows into an object that is not finished yet; return how many there are.

    Args:
        upload: the object.
        suffix: the end of its path.
        schema: the columns.
        batches: the rows.
        marker: what a Parquet file says about itself; CSV has no room for it.

    Raises:
        SchemaMismatch: for a type that CSV has no text for.
        LossyValues: for a nested value that JSON has no text for.

    """
    if suffix == ".parquet":
        return _parquet(upload, schema, batches, {MARKER: marker})
    return _csv(upload, schema, batches, compressed=suffix.endswith(".gz"))


def _parquet(
    upload: Upload, schema: pa.Schema, batches: Iterator[pa.RecordBatch], metadata: Mapping[bytes, bytes]
) -> int:
    rows = 0
    own = schema.with_metadata({**(schema.metadata or {}), **metadata})
    with pa.PythonFile(upload, "w") as sink, pq.ParquetWriter(sink, own, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def _csv(upload: Upload, schema: pa.Schema, batches: Iterator[pa.RecordBatch], *, compressed: bool) -> int:
    for field in schema:
        if pa.types.is_binary(field.type):
            raise SchemaMismatch(
                f"column {field.name!r} is binary, for which CSV has no text.",
                "Export Parquet, or leave it out with columns=.",
            )
        if pa.types.is_nested(field.type):
            refuse_unwritable(field.type, field.name)
    nested = [pa.types.is_nested(field.type) for field in schema]
    texts = pa.schema([f.with_type(pa.string()) if is_ else f for f, is_ in zip(schema, nested, strict=True)])
    rows = 0
    with pa.PythonFile(upload, "w") as plain:
        sink = pa.CompressedOutputStream(plain, "gzip") if compressed else plain
        with sink, pyarrow.csv.CSVWriter(sink, texts) as writer:
            for batch in batches:
                columns = [
                    json_texts(column, name) if is_ else column
                    for column, name, is_ in zip(batch.columns, schema.names, nested, strict=True)
                ]
                writer.write_batch(pa.record_batch(columns, schema=texts))
                rows += batch.num_rows
    return rows
