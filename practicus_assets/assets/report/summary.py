"""Summaries: what a materialization was about, as a page of Markdown, and what its keys mean."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from practicus_assets.assets.report import names
from practicus_assets.assets.report.changes import Changes, Rows
from practicus_assets.assets.report.markdown import escaped
from practicus_assets.lake.transactions.commit import Commit
from practicus_assets.lake.transactions.options import Mode
from practicus_assets.wording import bytes_of, in_short, number_of, printable

_LISTED = 10  # partitions, checks, columns and inputs that are named
_LONGEST = 200  # characters of a name, or of what a check found

_WRITTEN = {"append": "appended to", "merge": "merged into", "history": "rewritten"}
_TIMES = {
    names.READ_INPUTS_S: "reading inputs",
    names.FUNCTION_S: "the function",
    names.AUDIT_S: "checks",
    names.WRITE_S: "writing",
    names.COMMIT_S: "the commit",
}

MEANINGS: Mapping[str, str] = {
    names.VERSION: "the table's version that has these rows",
    names.OUTCOME: "what became of the run's rows",
    names.REUSED_VERSION: "the version that the rows are from",
    names.REUSED_RUN: "the run that made them",
    names.RESTORES: "the version whose rows a rollback brought back",
    names.CONTRACT_DIGEST: "tells the contract that the rows passed from others",
    names.FILLED: "partition columns that the output lacks, and that were filled in",
    names.SPLITS: "into how many splits the step was cut",
    names.REJECTED_ROWS: "rows that the contract kept out of the table",
    names.REJECTED: "the asset that has them",
    names.ROWS: "rows that were appended",
    names.ROWS_BEFORE: "rows of the scope in the version before",
    names.ROWS_ADDED: "rows that the version before did not have",
    names.ROWS_REMOVED: "rows that only the version before has",
    names.ROWS_CHANGED: "rows that took the place of one with the same key",
    names.VERSIONS: "versions of the history's keys, by what became of them",
    names.FILES: "Parquet files that were written",
    names.SIZE_MB: "their size, in 10^6 bytes",
    names.DURATION_S: "seconds from the first row to the commit",
    names.READ_INPUTS_S: "seconds in which inputs were read, before the function began",
    names.FUNCTION_S: "seconds of the author's function, with what it reads by itself",
    names.AUDIT_S: "seconds of the contract's rules",
    names.WRITE_S: "seconds of the rows' conversion, fingerprints and files; "
    "of files of an engine, of reading them with the rules",
    names.COMMIT_S: "seconds of the commit",
    names.INPUTS: "an asset that was read",
    names.INPUT_VERSIONS: "the versions of the tables that were read",
    names.SOURCES: "what was read in other systems",
    names.PREVIEW: "the first rows",
    names.FINGERPRINT: "a hash of the rows, whatever their order",
    f"{names.STATISTICS}/": "a number about a column's values",
    names.RUN_PARTITIONS: "partitions of the whole run",
    names.RUN_ROWS: "rows of the whole run",
    names.RUN_FILES: "files of the whole run",
    names.RUN_SIZE_MB: "their size, in 10^6 bytes",
    names.RUN_DURATION_S: "seconds of the whole run, from the first row to the commit",
    names.USED: "what the step's worker asked for and used",
    names.PEAK_MEMORY_MIB: "the most memory that it used, in 2^20 bytes",
    names.MEMORY_LIMIT_MIB: "the memory that it may use",
    names.MEMORY_USED_PERCENT: "the one in percent of the other",
    names.TIME_S: "seconds since it began",
    names.CPU_USED_CORE_S: "seconds that a core worked for it",
    names.CPU_ASKED_CORE_S: "cores that it asks for, times these seconds",
    names.MEMORY_ASKED_GIB_S: "memory that it asks for in 2^30 bytes, times these seconds",
}


def meaning(key: str) -> str | None:
    """Return what a key says; None for one that is not ours."""
    return MEANINGS.get(_explained(key))


def _explained(key: str) -> str:
    """Return a key as it is explained: those of one beginning, such as of inputs, are so together."""
    return next((start for start in MEANINGS if start.endswith(("/", "_")) and key.startswith(start)), key)


def summary(
    commit: Commit,
    changes: Changes | None,
    inputs: Mapping[str, int],
    metadata: Mapping[str, Any],
    *,
    shows_values: bool = True,
    explains: bool = True,
    undone: Sequence[str] = (),
) -> dg.MarkdownMetadataValue:
    """Return the summary of a materialization.

    Args:
        commit: the transaction's commit.
        changes: what it changed; None if nothing, or if nobody knows.
        inputs: the version of each table that was read, by its name.
        metadata: further metadata, which say where the time went and what the worker used.
        shows_values: whether values of rows may be shown, such as those of partition columns.
        explains: whether it says what each key means; if not, it names the page that does.
        undone: of a rollback, the commits that it undid, in words.

    """
    blocks = [
        *_restored(commit, metadata, undone),
        _outcome(commit, changes) if names.RESTORES not in metadata else "",
        *(_of_changes(changes, shows_values=shows_values) if changes is not None else ()),
        *_versions(commit),
        _checks(commit),
        _rejected(commit, metadata, shows_values=shows_values),
        _inputs(inputs),
        _times(metadata),
        _files(commit, metadata),
        f"**Worker**: {metadata[names.USED]}." if names.USED in metadata else "",
        _legend(list(metadata)) if explains else "What each entry means: docs/tables.md",
    ]
    return dg.MetadataValue.md("\n\n".join(block for block in blocks if block))


def _outcome(commit: Commit, changes: Changes | None) -> str:
    version = f"**Version {commit.version}**"
    if commit.recovered:
        return f"{version} was committed by an earlier attempt; what it changed is not compared again."
    if commit.reused is not None:
        run = escaped(commit.reused.run_id[:8])
        return f"**Nothing was computed**: version {commit.reused.version}, of run {run}, has these rows."
    if not commit.changed:
        return f"**Nothing changed**: version {commit.version} has these rows already."
    if changes is None:
        return f"{version}: what it changed is not known, for the store's answer to the commit was lost."
    if changes.version is None:
        return f"{version}: the table is new."
    return f"{version}, on version {changes.version}."


def _restored(commit: Commit, metadata: Mapping[str, Any], undone: Sequence[str]) -> Iterator[str]:
    if names.RESTORES in metadata:
        on = f", on version {commit.before.version}" if commit.before is not None else ""
        yield f"**Version {commit.version}** has the rows of version {metadata[names.RESTORES]} again{on}."
    if undone:
        yield f"**Undone**: {_listed([_text(each) for each in undone])}."


def _of_changes(changes: Changes, *, shows_values: bool) -> Iterator[str]:
    rows = changes.rows
    known = [
        f"{count:,} {what}"
        for count, what in (
            (rows.before, "before"),
            (rows.after, "now"),
            (rows.added, "added"),
            (rows.removed, "removed"),
            (rows.changed, "replaced by key" if changes.mode == "merge" else "changed"),
        )
        if count is not None
    ]
    text = f"**Rows**: {', '.join(known)}." if known else "**Rows**:"
    if rows.added is None:
        why = rows.reason or "the log does not say how many rows the files of another writer have"
        text = f"{text} Not counted is how many were added, removed or changed: {_text(why)}."
    yield text
    if changes.partitions:
        yield _partitions(changes, shows_values=shows_values)
    if changes.columns:
        yield f"**Columns**: {_listed(changes.columns)}."


def _partitions(changes: Changes, *, shows_values: bool) -> str:
    partitions = changes.partitions
    kinds = {name: _kind(part, changes.mode) for name, part in partitions.items()}
    if len(kinds) == 1 and shows_values:
        [(name, kind)] = kinds.items()
        return f"**Partition**: {_text(name)}, {kind}."
    text = f"**Partitions**: {', '.join(f'{n:,} {kind}' for kind, n in Counter(kinds.values()).items())}."
    if not shows_values:
        return text
    lines = [
        f"- {_text(name)}: {kinds[name]}, {_counts(part)}"
        for name, part in list(partitions.items())[:_LISTED]
    ]
    more = [f"- … {len(partitions) - _LISTED:,} more"] if len(partitions) > _LISTED else []
    return "\n".join([text, "", *lines, *more])


def _counts(part: Rows) -> str:
    if part.after is None:
        return f"{number_of(part.added, 'row')} more" if part.added is not None else "rows not counted"
    before = f", {part.before:,} before" if part.before else ""
    return f"{number_of(part.after, 'row')}{before}"


def _kind(part: Rows, mode: Mode) -> str:
    if part.before == 0:
        return "added" if part.after else "empty as before"
    return "deleted" if part.after == 0 else _WRITTEN.get(mode, "replaced")


def _versions(commit: Commit) -> Iterator[str]:
    if commit.versions:
        counts = ", ".join(f"{count:,} {what}" for what, count in commit.versions.items())
        yield f"**Versions of keys**: {counts}."


def _checks(commit: Commit) -> str:
    if not commit.audits:
        return ""
    broken = [audit for audit in commit.audits if not audit.passed]
    warned = [audit for audit in broken if audit.severity != "QUARANTINE"]
    rejected = len(broken) - len(warned)
    passed = f"**Checks**: {len(commit.audits) - len(broken):,} passed"
    passed += f", {rejected:,} kept rows out" if rejected else ""
    if not warned:
        return f"{passed}."
    lines = [
        f"- {_text(audit.name)}: {_text(audit.finding or number_of(audit.bad_rows, audit.noun))}"
        for audit in warned[:_LISTED]
    ]
    more = [f"- … {len(warned) - _LISTED:,} more"] if len(warned) > _LISTED else []
    return "\n".join([f"{passed}, {len(warned):,} warned:", "", *lines, *more])


def _rejected(commit: Commit, metadata: Mapping[str, Any], *, shows_values: bool) -> str:
    """Return how many rows which rule kept out of the table, of which partitions, and where they are."""
    if commit.rejected is None or not commit.rejected.rows or names.REJECTED not in metadata:
        return ""
    beside = metadata[names.REJECTED].asset_key.to_user_string()
    text = (
        f"**Rejected**: {number_of(commit.rejected.rows, 'row')}, which {_text(beside)} has in its version "
        f"{commit.rejected.version}"
    )
    broken = [audit for audit in commit.audits if not audit.passed and audit.severity == "QUARANTINE"]
    lines = []
    for audit in broken[:_LISTED]:
        of_each = (audit.breaches or {}).items() if shows_values else ()
        partitions = _listed([f"{_text(key)} {breach.rows:,}" for key, breach in of_each])
        line = f"- {_text(audit.name)}: {number_of(audit.bad_rows, 'row')}"
        lines.append(f"{line} ({partitions})" if partitions else line)
    more = [f"- … {len(broken) - _LISTED:,} more"] if len(broken) > _LISTED else []
    return "\n".join([f"{text}:", "", *lines, *more]) if lines else f"{text}."


def _inputs(inputs: Mapping[str, int]) -> str:
    if not inputs:
        return ""
    return f"**Inputs**: {_listed([f'{_text(name)} version {version}' for name, version in inputs.items()])}."


def _times(metadata: Mapping[str, Any]) -> str:
    times = {what: metadata[key] for key, what in _TIMES.items() if key in metadata}
    if not times:
        return ""
    return f"**Time**: {', '.join(f'{what} {_seconds(seconds)} s' for what, seconds in times.items())}."


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 100 else f"{seconds:.3g}"  # noqa: PLR2004 three digits


def _files(commit: Commit, metadata: Mapping[str, Any]) -> str:
    if not commit.changed or commit.reused is not None:
        return ""
    whole = metadata.get(names.SIZE_BYTES)
    table = f"; the table has {bytes_of(whole)}" if whole is not None else ""
    return f"**Written**: {number_of(commit.files, 'file')}, {bytes_of(commit.bytes)}{table}."


def _legend(keys: Sequence[str]) -> str:
    explained = dict.fromkeys(_explained(key) for key in keys if meaning(key))
    rows = [f"| `{key}{'…' * key.endswith(('/', '_'))}` | {MEANINGS[key]} |" for key in explained]
    return "\n".join(["| key | what it says |", "| --- | --- |", *rows]) if rows else ""


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _LISTED
    return "; ".join([*texts[:_LISTED], *([f"{more:,} more"] if more > 0 else [])])


def _text(text: str) -> str:
    return escaped(printable(in_short(text, _LONGEST)))
