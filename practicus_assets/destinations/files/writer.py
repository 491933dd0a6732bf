"""Files: each partition is one object, and a marker in it or beside it says what it holds."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace

import pyarrow as pa
import pyarrow.parquet as pq

from practicus_assets.destinations.destination import Destination
from practicus_assets.destinations.export import Export, Exported
from practicus_assets.destinations.files.formats import MARKER, suffix_of, written
from practicus_assets.destinations.files.objects import Objects
from practicus_assets.destinations.marker import Marker, count_problem, standing
from practicus_assets.errors import (
    DeclarationError,
    ExportConflict,
    ExportFailed,
    PracticusAssetsError,
    naming,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.partitions.bounds import Bounds
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.sources.files.pattern import Pattern
from practicus_assets.wording import names_of

_BESIDE = "_practicus_exports"  # the folder of the markers of formats that have no room for them
_READS = 5  # of a marker that others write
_BEGUN = "begun "  # before the data version of an object that may not be there yet


class FilesDestination(Destination):
    """A folder of files, or a prefix in an object store.

    A target is the path of an object below the root. With partitions it is a pattern, as for sources:
    `orders/day={day}/rows.parquet` is one object per partition.

    Args:
        connect: returns the objects; reads the credentials.
        address: where they are.
        kind: the kind of the store, as Dagster's UI spells it.

    """

    kind = "file"
    address = ""

    def __init__(self, connect: Callable[[], Objects], address: str, kind: str = "file") -> None:
        self._connect = connect
        self.address = address
        self.kind = kind

    def refuse_target(self, target: str) -> None:
        """Refuse a path that is no pattern, or of an unknown format."""
        suffix_of(Pattern(target).text)

    def write(self, export: Export) -> Exported:
        """Replace the object of each partition; each is as it was, or new as a whole."""
        paths = _paths(export)
        objects = self._connect()
        outcomes, is_touched = [], False
        for part, path in zip(_parts(export), paths, strict=True):
            one = _Object(objects, part, path)
            try:
                with naming("", str(part.scope)):
                    outcomes.append(one.replace())
            except PracticusAssetsError as error:
                error.nothing_written = not (is_touched or one.is_touched)
                raise
            is_touched = is_touched or one.is_touched
        exported = [outcome for outcome in outcomes if outcome.outcome == "exported"]
        rows = sum(outcome.rows for outcome in outcomes)
        return Exported("exported" if exported else "already there", rows)


class _Object:
    """One object that an export replaces.

    Attributes:
        is_touched: whether it may have been replaced.

    """

    def __init__(self, objects: Objects, export: Export, path: str) -> None:
        self.objects = objects
        self.export = export
        self.path = path
        self.is_touched = False

    def replace(self) -> Exported:
        """Replace the object, unless it holds the rows already."""
        export, suffix = self.export, suffix_of(self.path)
        marker, attempt = self._marker(suffix)
        stands = standing(export, [marker] if marker is not None else [])
        if stands.present and self._is_whole(suffix):
            [version] = stands.versions.values()
            if version < export.snapshot.version:  # or a zombie's version would come between
                self._mark_beside(stands.rows, attempt, self.objects.size(self.path))
            return Exported("already there", stands.rows)
        [key] = export.parts
        attempt = uuid.uuid4().hex
        own = self._own_columns()
        schema = pa.schema([field for field in export.schema if field.name in own])
        text = _to_json(Marker.of_export(export, key, -1, {}), attempt)
        with self.objects.reaching(self.path), self.objects.upload(self.path) as upload:
            rows = written(upload, suffix, schema, self._batches(schema), text)
            expected = export.snapshot.row_count
            if expected is not None and rows != expected:
                raise ExportFailed(f"{count_problem(rows, expected)}.", "Run again.")
            newest, _ = self._marker(suffix)
            standing(export, [newest] if newest is not None else [])  # a zombie ends here
            if suffix != ".parquet":  # or who ends in between leaves a marker of the object that was there
                self._mark_beside(rows, attempt, upload.size, is_begun=True)
            self.is_touched = True
            upload.finish()
        self._refuse_others(suffix, attempt, rows)
        if suffix != ".parquet":
            self._mark_beside(rows, attempt, upload.size)
        return Exported("exported", rows)

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in self.export.batches():
            yield batch.select(schema.names)

    def _own_columns(self) -> set[str]:
        """Return the columns that are in the file: all but those that its folders name, as hive does."""
        in_folders = {
            name for name in self.export.bounds.constants() if f"{name}={{{name}}}/" in self.export.target
        }
        return set(self.export.schema.names) - in_folders

    def _marker(self, suffix: str) -> tuple[Marker | None, str]:
        """Return what the object is marked with, and the attempt that wrote it."""
        values = self._read_beside()
        beside, attempt_beside = _from_values(values) if values else (None, "")
        if suffix != ".parquet":
            return beside, attempt_beside
        if self.objects.size(self.path) is None:
            return None, ""
        with self.objects.reaching(self.path), self.objects.filesystem.open_input_file(self.path) as file:
            try:
                metadata = pq.read_metadata(file)
            except pa.ArrowInvalid:  # somebody else's, and no Parquet
                return None, ""
        content = (metadata.metadata or {}).get(MARKER)
        if content is None:
            return None, ""
        marker, attempt = _from_values(json.loads(content))
        same = beside is not None and attempt_beside == attempt
        version = max(marker.version, beside.version) if beside is not None and same else marker.version
        return replace(marker, rows=metadata.num_rows, version=version), attempt

    def _is_whole(self, suffix: str) -> bool:
        """Return whether the object is the one that its marker is about."""
        if suffix == ".parquet":
            return True
        return bool(self._read_beside().get("size") == self.objects.size(self.path))

    def _read_beside(self) -> Mapping[str, object]:
        """Return what the marker beside the object says; nothing if there is none.

        A store is asked for the size first and then for so many bytes, so that a marker which is replaced
        between the two comes cut off.
        """
        for _ in range(_READS):
            with suppress(ValueError):
                return dict(json.loads(self.objects.read(self._beside) or b"{}"))
        raise ExportFailed(
            f"{self.objects.name_of(self._beside)} is no marker of an export.",
            "Delete it, or run again when nobody writes it any more.",
        )

    def _mark_beside(self, rows: int, attempt: str, size: int | None, *, is_begun: bool = False) -> None:
        """Write the marker beside the object; that of one that is only begun is of no rows."""
        [key] = self.export.parts
        marker = Marker.of_export(self.export, key, rows, {})
        self._write_beside(
            replace(marker, data_version=f"{_BEGUN}{marker.data_version}") if is_begun else marker,
            attempt,
            size,
        )

    def _take_back(self, marker: Marker, attempt: str) -> None:
        """Take back a marker of others that is now beside our object, unless it is of the same rows."""
        [own] = self.export.data_versions.values()
        if marker.data_version.removeprefix(_BEGUN) != own:
            self._write_beside(replace(marker, data_version=""), attempt)

    def _write_beside(self, marker: Marker, attempt: str, size: int | None = None) -> None:
        with self.objects.reaching(self._beside), self.objects.upload(self._beside) as upload:
            upload.write(_to_json(marker, attempt, size))
            upload.finish()

    @property
    def _beside(self) -> str:
        folder, _, name = self.path.rpartition("/")
        return "/".join(filter(None, [folder, _BESIDE, f"{name}.json"]))

    def _refuse_others(self, suffix: str, attempt: str, rows: int) -> None:
        """Raise ExportConflict if another export replaced the object meanwhile."""
        found, found_attempt = self._marker(suffix)
        if found is None or found_attempt != attempt:
            if suffix != ".parquet" and found is not None:
                self._take_back(found, attempt)
            other = f"run {found.run_id} with version {found.version}" if found is not None else "somebody"
            raise ExportConflict(
                f"{self.objects.name_of(self.path)} was replaced by {other} while this run wrote it.",
                "Run again: the newest version is written if it is not there.",
            )
        if found.rows != rows:
            raise ExportFailed(f"{count_problem(found.rows, rows)}.", "Run again.")


def _parts(export: Export) -> Iterator[Export]:
    """Yield an export for each partition of an export."""
    scope = export.scope
    if scope.is_whole_table:
        yield export
        return
    for part, key in zip(scope.parts, scope.keys, strict=True):
        snapshot = Snapshot.of(export.table, export.snapshot.version, Scope(scope.columns, (part,), (key,)))
        yield replace(export, snapshot=snapshot)


def _paths(export: Export) -> list[str]:
    """Return the path of each partition's object.

    Raises:
        DeclarationError: if the pattern does not tell the partitions apart.

    """
    pattern, bounds = Pattern(export.target), export.bounds
    if set(pattern.keys) != set(bounds.columns):
        columns = names_of("column", bounds.columns) if bounds.columns else "no column"
        example = "/".join(f"{column}={{{column}}}" for column in bounds.columns)
        raise DeclarationError(
            f"{export.target!r} has the keys {list(pattern.keys)}, and the partitions are by {columns}.",
            f"Write each column into the path: orders/{example}/rows.parquet."
            if example
            else "Name one object: orders.parquet.",
        )
    paths = []
    for part in bounds.parts or ((),):
        path = pattern.path_of(Bounds(bounds.columns, bounds.types, (part,)))
        if path is None:
            raise DeclarationError(
                f"{export.target!r} does not name the object of a partition: {part}.",
                "Write the key so that it tells each partition, e.g. {hour:%Y-%m-%dT%H} of hourly ones.",
            )
        paths.append(path)
    if len(set(paths)) != len(paths):
        raise DeclarationError(
            f"{export.target!r} names one object for two partitions.", "Name the whole key."
        )
    return paths


def _to_json(marker: Marker, attempt: str, size: int | None = None) -> bytes:
    values = asdict(replace(marker, scope=RecordedScope()))
    values |= {"scope": marker.scope.to_json(), "attempt": attempt, "size": size}
    return json.dumps(values).encode()


def _from_values(values: Mapping[str, object]) -> tuple[Marker, str]:
    own = {name: value for name, value in values.items() if name not in {"attempt", "size", "scope"}}
    scope = RecordedScope.from_json(values["scope"])  # type: ignore[arg-type] # JSON
    return Marker(scope=scope, **own), str(values["attempt"])  # type: ignore[arg-type] # JSON
