"""Which tables hold what an attempt would compute, as far as their log and those of inputs tell."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from practicus_assets.errors import CommitConflict
from practicus_assets.lake.contracts.audit import AuditResult
from practicus_assets.lake.contracts.column import Column
from practicus_assets.lake.contracts.contract import Contract
from practicus_assets.lake.delta.record import InputVersion, SourceRead, VersionElsewhere
from practicus_assets.lake.delta.table import Table
from practicus_assets.lake.partitions.scope import Scope
from practicus_assets.lake.transactions.commit import Commit, Reused
from practicus_assets.lake.transactions.options import Mode, WriteOptions
from practicus_assets.lake.transactions.provenance import Provenance
from practicus_assets.lake.transactions.transaction import Transaction
from practicus_assets.lake.transactions.unchanged.reuse import InputRead, reusable
from practicus_assets.lake.upkeep.compaction import compact
from practicus_assets.lake.upkeep.rollback import carry_out, plan_rollback
from tests.kit import commit_info, log, partitions, table_of, write

WHO = Provenance("run", "step", asset_key="t", code_version="1", config_digest="c0f1")
CONTRACT = Contract({"n": Column("int64", minimum=0)})
ONE = partitions("a")


@dataclass
class Job:
    """A table of partitions that is computed from another one."""

    table: Table
    up: Table
    who: Provenance = WHO
    contract: Contract = CONTRACT
    read: Scope = field(default_factory=lambda: ONE)

    def inputs(self) -> list[InputRead]:
        at = self.up.open()
        recorded = self.read.on(at.schema).recorded
        return [InputRead(InputVersion("up", at.version, at.id, recorded), self.up, self.read)]

    def begin(self, scope: Scope = ONE, mode: Mode = "replace", **who: Any) -> Transaction:
        inputs = [each.read for each in self.inputs()]
        provenance = replace(self.who, **{"inputs": inputs, "run_id": str(uuid.uuid4()), **who})
        options = WriteOptions(partition_by=["p"], mode=mode)
        return Transaction(self.table, scope, options, contract=self.contract, provenance=provenance)

    def asked(self, scope: Scope = ONE, checks: tuple[str, ...] = (), **who: Any) -> Commit | str:
        return reusable(self.begin(scope, **who).attempt, self.inputs(), checks)


@pytest.fixture
def job(table: Table) -> Job:
    up = Table("up", f"{table.uri}_up")
    write(up, "a", 1)
    write(up, "b", 2)
    job = Job(table, up)
    assert job.asked() == "there is no table yet"
    job.begin(run_id="run").write(table_of("a", 1, 2))
    return job


def test_rows_are_reused_as_the_commit_recorded_them(job: Job) -> None:
    first = job.begin(partitions("b"), run_id="other").write(table_of("b", 3))
    found = job.asked()
    assert isinstance(found, Commit)
    assert (found.version, found.reused, found.changed, found.recovered) == (
        1,
        Reused(0, "run"),
        False,
        False,
    )
    assert (found.rows, found.partition_rows, [*found.fingerprints]) == (2, {"a": 2}, ["a"])
    assert {audit.name: audit.passed for audit in found.audits} == {"schema": True, "n_minimum": True}
    assert isinstance(job.asked(partitions("b")), Commit)
    assert isinstance(job.asked(partitions("a", "b")), str)
    assert first.reused is None


BY_OTHERS: dict[str, tuple[Callable[[Job], object], str]] = {
    "append by delta-rs": (
        lambda job: write_deltalake(job.table.uri, table_of("a", 9), mode="append"),
        "somebody else wrote its rows",
    ),
    "delete by delta-rs": (
        lambda job: DeltaTable(job.table.uri).delete("p = 'a' AND n = 1"),
        "somebody else wrote its rows",
    ),
    "append": (lambda job: job.begin(mode="append").write(table_of("a", 9)), "depend on those"),
    "merge of other keys": (lambda job: write(job.table, "a", 7), "not committed to be reused|of no name"),
    "a wider commit": (
        lambda job: job.begin(partitions("a", "b")).write(table_of("a", 1, 3)),
        "together with others",
    ),
    "another asset": (lambda job: job.begin(asset_key="x").write(table_of("a", 3)), "the asset x committed"),
    "a promotion": (
        lambda job: job.begin(promotes=VersionElsewhere("x", 1)).write(table_of("a", 3)),
        "from another lake",
    ),
    "another system": (lambda job: job.begin(sources=[SourceRead("s")]).write(table_of("a", 3)), "system"),
    "a new column": (
        lambda job: job.begin(partitions("b")).write(table_of("b", 3, x=pa.array([1]))),
        "no commit of its rows",
    ),
}


@pytest.mark.parametrize("case", BY_OTHERS)
def test_rows_that_are_no_longer_those_of_one_such_commit_are_computed(job: Job, case: str) -> None:
    change, why = BY_OTHERS[case]
    change(job)
    found = job.asked()
    assert isinstance(found, str)
    assert any(each in found for each in why.split("|")), found


def test_rows_that_a_rollback_brought_back_are_computed(job: Job) -> None:
    job.begin(run_id="two").write(table_of("a", 5))
    carry_out(job.table, plan_rollback(job.table, 0, ONE, whole=False), Provenance())
    assert job.asked() == "its rows were brought back by a rollback"


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ({"code_version": "2"}, "its code version changed"),
        ({"code_version": ""}, "it has no code version"),
        ({"config_digest": "d1d1"}, "its configuration changed"),
        ({"config_digest": ""}, "its configuration changed"),
        ({"asset_key": "x"}, "the asset t committed its rows"),
        ({"sources": (SourceRead("s"),)}, "it reads another system"),
        (
            {"base": VersionElsewhere("base", 1)},
            "its lake lies over a base, or its rows are from another lake",
        ),
    ],
)
def test_another_declaration_is_computed(job: Job, who: dict[str, Any], why: str) -> None:
    assert job.asked(**who) == why
    job.contract = Contract({"n": Column("int64", minimum=-1)})
    assert isinstance(job.asked(), str)


def test_a_commit_of_an_older_release_is_no_commit_to_be_reused(job: Job) -> None:
    job.who = replace(WHO, config_digest="")
    job.begin().write(table_of("a", 4))
    job.who = WHO
    assert job.asked() == "its rows were not committed to be reused"


def test_upkeep_of_the_table_and_of_its_inputs_changes_nothing(job: Job) -> None:
    for table in (job.table, job.up):
        compact(table)
        DeltaTable(table.uri).optimize.compact()
        DeltaTable(table.uri).alter.set_table_properties({"delta.logRetentionDuration": "interval 60 days"})
    assert job.asked() == "no commit of its rows is known"  # the metadata may have changed its columns
    assert job.begin(run_id="two").write(table_of("a", 2, 1)).changed is False
    assert isinstance(job.asked(), Commit)


def test_inputs_are_compared_by_rows_columns_partitions_and_identity(job: Job) -> None:
    write(job.up, "a", 5)
    assert job.asked() == "up has other rows"
    write(job.up, "a", 1)
    assert isinstance(job.asked(), Commit)
    job.read = Scope()
    assert job.asked() == "up has other rows"  # of which it reads more
    job.read = ONE
    write(job.up, "b", 7)
    assert isinstance(job.asked(), Commit)
    write(job.up, "b", 7, x=pa.array([1]))
    assert job.asked() == "up has other rows"  # and a column more
    again = job.inputs()
    assert reusable(job.begin().attempt, []) == "not all of its inputs are known"
    assert reusable(job.begin().attempt, again * 2) == "not all of its inputs are known"


def test_an_input_whose_log_is_gone_is_not_known(job: Job) -> None:
    write(job.up, "a", 5)
    write(job.up, "a", 1)
    DeltaTable(job.up.uri).create_checkpoint()
    for version in range(3):
        Path(job.up.uri, "_delta_log", f"{version:020}.json").unlink()
    found = job.asked()
    assert isinstance(found, str)


def test_equal_rows_leave_one_mark_without_actions_and_only_where_they_may_be_reused(job: Job) -> None:
    write(job.up, "a", 5)
    found = job.begin(run_id="two").write(table_of("a", 2, 1))
    assert (found.changed, found.version) == (False, 1)
    assert not [action for action in log(job.table, 1) if {"add", "remove", "metaData"} & {*action}]
    record = json.loads(commit_info(job.table, 1)["practicus_assets"])
    assert (record["changed"], record["run_id"], record["config_digest"]) == (False, "two", "c0f1")
    asked = job.asked()
    assert isinstance(asked, Commit)
    assert (asked.version, asked.reused) == (1, Reused(1, "two"))
    assert job.begin(run_id="again").write(table_of("a", 1, 2)).version == 1  # which says nothing new
    job.who = replace(WHO, config_digest="")
    again = job.begin(run_id="three").write(table_of("a", 2, 1))
    assert (again.changed, again.version, job.table.open().version) == (False, 1, 1)


def test_the_newest_mark_counts_and_what_came_after_it(job: Job) -> None:
    write(job.up, "a", 5)
    job.begin(run_id="two").write(table_of("a", 2, 1))
    write(job.up, "a", 1)
    assert job.asked() == "up has other rows"  # the rows of before, of which an older commit tells
    write(job.up, "a", 5)
    assert isinstance(job.asked(), Commit)
    write_deltalake(job.table.uri, table_of("a", 9), mode="append")
    assert job.asked() == "somebody else wrote its rows"


@pytest.mark.parametrize("is_passed", [True, False])
def test_a_check_beside_the_contract_must_have_passed_or_warned(job: Job, *, is_passed: bool) -> None:
    assert job.asked(checks=("complete",)) == "a check of its rows failed, or has no result"
    transaction = job.begin(run_id="two")
    result = AuditResult(name="complete", passed=is_passed, severity="ERROR", description="all")
    transaction.commit(transaction.stage(table_of("a", 6)), further=[result])
    assert isinstance(job.asked(checks=("complete",)), Commit) is is_passed


def test_a_lost_file_is_computed_again(job: Job) -> None:
    [file] = [Path(uri) for uri in DeltaTable(job.table.uri).file_uris()]
    file.unlink()
    assert job.asked() == "a file of its rows cannot be read"


def test_a_commit_after_the_decision_leaves_the_version_that_was_decided_upon(job: Job) -> None:
    attempt = job.begin(run_id="next").attempt
    job.begin(run_id="two").write(table_of("a", 8))
    found = reusable(attempt, job.inputs())
    assert isinstance(found, Commit)
    assert (found.version, found.rows) == (0, 2)


def test_one_that_computes_after_all_is_refused_if_another_left_a_mark_meanwhile(job: Job) -> None:
    late = job.begin(run_id="late", code_version="2")
    job.begin(run_id="two", code_version="3").write(table_of("a", 2, 1))
    with pytest.raises(CommitConflict, match="run two"):
        late.write(table_of("a", 2, 1))


def test_rows_of_which_the_contract_rejected_some_are_computed(job: Job) -> None:
    job.contract = Contract({"n": Column("int64", minimum=2, severity="QUARANTINE")})
    assert job.begin(run_id="two").write(table_of("a", 1, 2)).rows == 1
    assert job.asked() == "its contract rejected rows, which are kept elsewhere"
