"""What the log keeps for ever: records of today, of before there were formats, and of releases to come."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from practicus_assets.errors import CommitConflict, UnsupportedTable
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.log import LogEntry, entries
from practicus_assets.lake.delta.origins import origins
from practicus_assets.lake.delta.record import (
    FORMAT,
    InputVersion,
    RecordedAudit,
    SourceRead,
    TransactionRecord,
    UnreadableRecord,
    UpkeepRecord,
)
from practicus_assets.lake.delta.snapshot import Snapshot
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.recorded import RecordedScope
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.history import read_history
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import partitions, table_of

GOLDEN = Path(__file__).with_name("records")
CONTRACT = Contract({"n": Column("int64", minimum=2, severity="WARN")})
FORMAT_1 = TransactionRecord(
    run_id="5f0e6c1e-0000-4000-8000-000000000001",
    step="sales__orders",
    attempt=2,
    attempt_id="5f0e6c1e-0000-4000-8000-000000000002",
    work="practicus_assets/5f0e6c1e-0000-4000-8000-000000000001/sales__orders/0123456789abcdef",
    mode="replace",
    scope=RecordedScope(
        ("day", "shop"),
        ((("2024-01-01", "2024-01-03"), "x"), (("2024-01-01", "2024-01-03"), "y")),
    ),
    asset_key="sales/orders",
    code_version="c0de",
    inputs=(
        InputVersion("weather", 3, "5f0e6c1e-0000-4000-8000-000000000003", RecordedScope(("day",), ())),
        InputVersion("shops", 0),
    ),
    restores_version=None,
    contract_digest="0123456789abcdef",
    changed=True,
    rows=2,
    files=2,
    size_bytes=1234,
    duration_seconds=0.125,
    fingerprint="2-00112233445566778899aabbccddeeff",
    fingerprints={"2024-01-01|x": "2-00112233445566778899aabbccddeeff"},
    audits=(
        RecordedAudit("n_minimum", "n is at least 2", "WARN", passed=False, bad_rows=1, found="1 bad row"),
    ),
    began_at=datetime(2024, 1, 3, 4, 5, 6, 789000, UTC),
    began_version=7,
    package_version="0.1.0",
)


def begin(
    table: Table, key: str | None = None, mode: Mode = "replace", run: str = "run", attempt: int = 1
) -> Transaction:
    return Transaction(
        table,
        partitions(key) if key is not None else None,
        WriteOptions(partition_by=["p"], mode=mode),
        contract=CONTRACT,
        provenance=Provenance(run, "step", attempt, inputs=[InputVersion("up", 4)]),
    )


def entry(table: Table, version: int) -> LogEntry:
    return next(entries(table, version, version))


def rewrite(
    table: Table, version: int, change: Callable[[dict[str, Any]], None], key: str = "practicus_assets"
) -> None:
    """Change the record of a commit as if another release had written it."""
    path = Path(table.uri, "_delta_log", f"{version:020}.json")
    actions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for action in actions:
        if "commitInfo" in action:
            record = json.loads(action["commitInfo"][key])
            change(record)
            action["commitInfo"][key] = json.dumps(record)
    path.write_text("\n".join(map(json.dumps, actions)), encoding="utf-8")


def of_a_later_release(record: dict[str, Any]) -> None:
    """Add fields, as a later release may without a new format."""
    record["cost"] = {"euros": 3}
    record["sources"] = [{"source": "orders", "later": 1}]
    record["scope"]["types"] = ["string"]
    for part in (*record["audits"], *record["inputs"]):
        part["later"] = [1, 2]


def of_a_newer_format(record: dict[str, Any]) -> None:
    record.clear()
    record |= {"format": FORMAT + 1, "package_version": "9.0.0", "work_of": "somebody"}


# --- Golden records -----------------------------------------------------------------------------------------


def test_a_record_of_format_1_is_written_and_read_as_it_will_be_for_ever() -> None:
    golden = (GOLDEN / "format_1.json").read_text(encoding="utf-8")
    assert json.loads(FORMAT_1.to_json()) == json.loads(golden)
    assert TransactionRecord.from_json(golden) == FORMAT_1


def test_a_record_with_sources_is_written_and_read_as_it_will_be_for_ever() -> None:
    golden = (GOLDEN / "format_1_sources.json").read_text(encoding="utf-8")
    orders = SourceRead("shop/orders", "postgresql://db:5432/shop", "public.orders", "00000003-0000001B-1")
    record = replace(FORMAT_1, sources=(orders, SourceRead("planes", "s3://bucket", "planes/*.parquet")))
    assert json.loads(record.to_json()) == json.loads(golden)
    assert TransactionRecord.from_json(golden) == record
    later = {**json.loads(golden), "sources": [{"source": "a", "rows": 7}]}
    assert TransactionRecord.from_json(json.dumps(later)).sources == (SourceRead("a"),)


def test_a_record_of_rows_that_may_be_reused_is_written_and_read_as_it_will_be_for_ever() -> None:
    golden = (GOLDEN / "format_1_reuse.json").read_text(encoding="utf-8")
    record = replace(FORMAT_1, config_digest="fedcba9876543210")
    assert json.loads(record.to_json()) == json.loads(golden)
    assert TransactionRecord.from_json(golden) == record
    assert TransactionRecord.from_json((GOLDEN / "format_1.json").read_text("utf-8")).config_digest == ""


def test_a_record_from_before_formats_had_numbers_is_read() -> None:
    record = TransactionRecord.from_json((GOLDEN / "unnumbered.json").read_text(encoding="utf-8"))
    assert (record.format, record.run_id[-4:], record.step, record.attempt) == (0, "0001", "sales__orders", 2)
    assert record.scope == RecordedScope(
        ("day", "shop"), ((("2024-01-01", "2024-01-03"), "x"), (("2024-01-01", "2024-01-03"), "y"))
    )
    assert record.inputs == (InputVersion("weather", 3),)
    assert (record.rows, record.files, record.changed, record.restores_version) == (2, 2, True, None)
    assert record.size_bytes > 0
    assert record.duration_seconds > 0
    assert set(record.fingerprints) == {"2024-01-01|x", "2024-01-02|y"}
    assert {audit.name: (audit.passed, audit.bad_rows) for audit in record.audits}["n_minimum"] == (False, 1)
    assert len(record.contract_digest) > 0


def test_every_absent_field_that_may_be_absent_has_a_default() -> None:
    needed = ("run_id", "step", "attempt", "attempt_id", "work", "mode", "scope")
    values = {"format": 1, **{name: json.loads(FORMAT_1.to_json())[name] for name in needed}}
    assert TransactionRecord.from_json(json.dumps(values)).changed
    for name in needed:
        with pytest.raises(UnreadableRecord, match="damaged"):
            TransactionRecord.from_json(json.dumps({k: v for k, v in values.items() if k != name}))


@pytest.mark.parametrize("text", ["", "[]", "null", "3", '{"format": 1}', '{"format": "x"}', "{"])
def test_what_is_no_record_is_told_as_that(text: str) -> None:
    with pytest.raises(UnreadableRecord, match="it is damaged"):
        TransactionRecord.from_json(text)


def test_a_record_of_upkeep_is_written_and_read_as_it_will_be_for_ever() -> None:
    golden = (GOLDEN / "upkeep_format_1.json").read_text(encoding="utf-8")
    run, attempt = (f"5f0e6c1e-0000-4000-8000-00000000000{n}" for n in (1, 2))
    record = UpkeepRecord("z-order by day, shop", run, attempt, "0.1.0")
    assert json.loads(record.to_json()) == json.loads(golden)
    assert UpkeepRecord.from_json(golden) == record
    assert UpkeepRecord.from_json(json.dumps({**json.loads(golden), "later": [1]})) == record
    unnumbered = UpkeepRecord.from_json((GOLDEN / "upkeep_unnumbered.json").read_text(encoding="utf-8"))
    assert unnumbered == UpkeepRecord("compact", run, attempt, format=0)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"format": 1}', '{"format": 2, "operation": "x"}'])
def test_what_is_no_record_of_upkeep_is_refused(text: str) -> None:
    with pytest.raises(UnreadableRecord):
        UpkeepRecord.from_json(text)


def test_the_id_of_an_attempts_work_is_that_by_which_every_release_looks_for_it() -> None:
    work = Provenance("run", "step").app_id(partitions("a", "b"))
    assert work == "practicus_assets/run/step/ca942133a72db8b6"


# --- A table with commits of several releases ---------------------------------------------------------------


def test_a_table_with_commits_from_before_formats_had_numbers_goes_on(table: Table) -> None:
    def unnumbered(record: dict[str, Any]) -> None:
        golden = json.loads((GOLDEN / "unnumbered.json").read_text(encoding="utf-8"))
        golden["commit"] |= {name: record[name] for name in ("rows", "files", "fingerprint", "fingerprints")}
        golden |= {name: record[name] for name in ("run_id", "step", "work", "attempt", "mode", "scope")}
        record.clear()
        record |= golden

    first = begin(table).write(table_of("a", 1, 2))
    late = begin(table, "a", run="zombie")
    begin(table, "a", run="two").write(table_of("a", 3))
    rewrite(table, 0, unnumbered)
    rewrite(table, 1, unnumbered)
    found = begin(table, attempt=2).landed
    assert found is not None
    assert (found.recovered, found.version, found.fingerprints) == (True, 0, first.fingerprints)
    with pytest.raises(CommitConflict, match="run two"):
        late.write(table_of("a", 9))
    assert [version.run_id for version in read_history(table)] == ["two", "run"]
    carry_out(table, plan_rollback(table, 0, Scope(), whole=True), Provenance("back", "rollback"))
    assert sorted(Snapshot.of(table).scan().read_all()["n"].to_pylist()) == [1, 2]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_an_older_worker_beside_a_newer_one_begins_retries_refuses_and_rolls_back(
    table: Table, mode: Mode
) -> None:
    first = begin(table).write(table_of("a", 1, 2))
    zombie = begin(table, "a", run="zombie")
    newer = begin(table, "a", run="newer").write(table_of("a", 3))
    for version in (0, 1):
        rewrite(table, version, of_a_later_release)
    again = begin(table, "a", run="newer", attempt=2)  # the newer worker died; an older one retries its step
    assert again.landed is not None
    assert (again.landed.version, again.landed.fingerprints) == (newer.version, newer.fingerprints)
    assert {audit.name for audit in again.landed.audits} == {audit.name for audit in newer.audits}
    with pytest.raises(CommitConflict, match="run newer, step 'step', attempt 1"):
        zombie.write(table_of("a", 9))
    assert [(v.run_id, v.operation, v.audits["n_minimum"], v.inputs) for v in read_history(table)] == [
        ("newer", "replace", 0, {"up": 4}),
        ("run", "replace", 1, {"up": 4}),
    ]
    known = origins(table, 1, partitions("a"), pa.schema([("p", pa.string()), ("n", pa.int64())]))
    assert known["a"].fingerprint == newer.fingerprints["a"]
    carry_out(table, plan_rollback(table, 0, partitions("a"), whole=False), Provenance("back", "rollback"))
    rewrite(table, 2, of_a_later_release)
    assert plan_rollback(table, 0, partitions("a"), whole=False).scope is None
    assert entry(table, 2).record is not None
    commit = begin(table, "b", mode, run="after").write(table_of("b", 7))
    assert (commit.version, first.version) == (3, 0)


def test_a_commit_of_a_newer_format_may_have_changed_every_row(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    late = {mode: begin(table, "b", mode, run=mode) for mode in ("replace", "append")}
    begin(table, "a", run="newer").write(table_of("a", 2))
    rewrite(table, 1, of_a_newer_format)
    for attempt in late.values():
        with pytest.raises(
            CommitConflict,
            match=r"a newer release of this package, .* format 2, .* version 1, .* Run this worker with "
            r"practicus-assets 9\.0\.0 or a later one\. Nothing was written\.$",
        ):
            attempt.write(table_of("b", 3))
    seen = entry(table, 1)
    assert seen.record is None
    assert seen.changes_rows
    assert [version.operation for version in read_history(table)] == [
        seen.info["operation"].lower(),
        "replace",
    ]
    begin(table, "b", run="on top").write(table_of("b", 4))  # one that begins after it is safe
    assert plan_rollback(table, 0, Scope(), whole=True).scope is not None


def test_a_retry_of_work_that_landed_in_a_newer_format_says_what_to_do(table: Table) -> None:
    begin(table).write(table_of("a", 1))
    rewrite(table, 0, of_a_newer_format)
    with pytest.raises(
        UnsupportedTable,
        match=r"an earlier attempt of run run landed as version 0, .* it is of format 2, and this release "
        r"reads formats up to 1\. Its rows are in the table\. Run this worker with practicus-assets 9\.0\.0",
    ):
        begin(table, attempt=2)


def test_a_record_is_parsed_once_per_entry(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(table).write(table_of("a", 1))
    read: list[str] = []
    whole = TransactionRecord.from_json
    monkeypatch.setattr(TransactionRecord, "from_json", lambda text: (read.append(text), whole(text))[1])
    seen = entry(table, 0)
    assert seen.record is seen.record
    assert seen.changes_rows
    assert len(read) == 1


def test_a_record_says_when_and_on_which_version_the_attempt_began_and_which_release_wrote_it(
    table: Table,
) -> None:
    before = datetime.now(UTC)
    begin(table).write(table_of("a", 1))
    begin(table, "b").write(table_of("b", 1))
    records = [entry(table, version).record for version in (0, 1)]
    assert all(record is not None for record in records)
    assert [record.began_version for record in records if record is not None] == [None, 0]
    for record in records:
        assert record is not None
        assert record.began_at is not None
        assert abs((record.began_at - before).total_seconds()) < 60
        assert record.package_version
        assert record.format == FORMAT


def test_scopes_of_many_windows_that_do_not_touch_are_compared_quickly() -> None:
    days = [date.fromordinal(730000 + n).isoformat() for n in range(40_000)]
    even = RecordedScope(
        ("d",), tuple(((low, high),) for low, high in zip(days[::4], days[1::4], strict=True))
    )
    odd = RecordedScope(
        ("d",), tuple(((low, high),) for low, high in zip(days[2::4], days[3::4], strict=True))
    )
    assert not even.overlaps(odd)
    assert even.overlaps(RecordedScope(("d",), (*odd.parts, ((days[4], days[5]),))))


def test_upkeep_of_any_release_changes_no_row_for_writers_and_readers(table: Table) -> None:
    for number in range(3):
        begin(table, mode="append", run=str(number)).write(table_of("a", number))
    late = begin(table, "a", run="late")
    compact(table, run_id="run")
    version = late.began + 1 if late.began is not None else 0
    assert (entry(table, version).upkeep or UpkeepRecord("")).run_id == "run"
    rewrite(table, version, of_a_newer_format, "practicus_assets_upkeep")
    assert entry(table, version).upkeep is None
    assert not entry(table, version).changes_rows
    newest = next(iter(read_history(table)))
    assert (newest.operation, newest.run_id) == (entry(table, version).info["operation"].lower(), "")
    assert late.write(table_of("a", 7)).version == version + 1
