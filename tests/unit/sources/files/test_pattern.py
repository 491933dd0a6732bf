import datetime as dt
from pathlib import Path

import pytest

from practicus_assets.errors import DeclarationError, OutOfScope, SourceFailed
from practicus_assets.lake.partitions.scope import Key, Scope, Window
from practicus_assets.sources.files.pattern import Pattern
from practicus_assets.sources.files.session import FilesSession
from practicus_assets.sources.relation import NO_ROWS
from tests.unit.sources.files.folder import Folder, rows_of, schema_of

ONE = "n\n1\n"


def days(*texts: str, column: str = "day") -> Scope:
    """Return daily windows in New York."""
    windows = []
    for text in texts:
        start = dt.datetime.fromisoformat(text).replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))
        windows.append((Window(text, start, start + dt.timedelta(1), daily=True),))
    return Scope((column,), tuple(windows))


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*.csv", ["a.csv", "b.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("[a]*.csv", ["a.csv"]),
        ("[!a]*.csv", ["b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "s/c.csv", "s/t/d.csv", "s/x[1].csv"]),
        ("s/**", ["s/c.csv", "s/t/d.csv", "s/x[1].csv"]),
        ("*/c.csv", ["s/c.csv"]),
        ("s/x[[]1].csv", ["s/x[1].csv"]),
        ("_hidden/*.csv", ["_hidden/e.csv"]),
        ("**/{{1}}.csv", ["{1}.csv"]),
    ],
)
def test_wildcards_choose_files_and_see_no_hidden_ones(
    folder: Folder, pattern: str, matched: list[str]
) -> None:
    for name in ("a.csv", "b.csv", "s/c.csv", "s/t/d.csv", "s/x[1].csv", "_hidden/e.csv", ".f.csv"):
        folder.write(name, f"name\n{name}\n")
    if "{" in pattern:
        folder.write("{1}.csv", "name\n{1}.csv\n")
    assert [row["name"] for row in folder.rows(pattern, "csv")] == matched


def test_keys_of_the_pattern_are_columns_with_the_types_that_they_are_written_as(folder: Folder) -> None:
    folder.write("region=a%2Fb%20c/day=2013-01-02/x.csv", ONE)
    hive = folder.source.files("region={region}/day={day:%Y-%m-%d}/*.csv")
    assert schema_of(hive) == {"n": "string", "region": "string", "day": "date32[day]"}
    assert rows_of(hive) == [{"n": "1", "region": "a/b c", "day": dt.date(2013, 1, 2)}]
    folder.write("2013/01/02/05.csv", ONE)
    hourly = folder.source.files("{hour:%Y/%m/%d/%H}.csv")
    assert rows_of(hourly) == [{"n": "1", "hour": dt.datetime(2013, 1, 2, 5)}]  # noqa: DTZ001 a wall time


def test_a_date_may_be_in_pieces_and_a_key_may_be_declared(folder: Folder) -> None:
    folder.write("year=2013/month=01/day=02/a.csv", ONE)
    pieces = folder.source.files("year={day:%Y}/month={day:%m}/day={day:%d}/*.csv")
    assert rows_of(pieces, days("2013-01-02")) == [{"n": "1", "day": dt.date(2013, 1, 2)}]
    folder.write("shop=7.csv", ONE)
    shops = folder.source.files("shop={shop}.csv", columns={"n": "int64", "shop": "int64"})
    assert rows_of(shops) == [{"n": 1, "shop": 7}]


def test_hive_s_folder_of_nulls_is_null_and_in_no_partition(folder: Folder) -> None:
    folder.write("p=__HIVE_DEFAULT_PARTITION__/a.csv", ONE)
    folder.write("p=x/a.csv", ONE)
    relation = folder.source.files("p={p}/*.csv")
    assert [row["p"] for row in rows_of(relation)] == [None, "x"]
    assert rows_of(relation, Scope(("p",), ((Key("x"),),))) == [{"n": "1", "p": "x"}]


def test_a_path_that_is_no_date_is_named(folder: Folder) -> None:
    folder.write("2013-13-01.csv", ONE)
    with pytest.raises(SourceFailed, match=r"2013-13-01\.csv: '2013-13-01' is no value of the key 'day'"):
        folder.rows("{day:%Y-%m-%d}.csv")


@pytest.mark.parametrize(
    "pattern", ["day={day}/*.csv", "day={day:%Y-%m-%d}/*.csv", "{day:%Y/%m/%d}/*.csv", "f/{day:%Y%m%d}.csv"]
)
def test_only_the_partitions_of_the_scope_are_listed_and_read(
    folder: Folder, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 3):
        date = dt.date(2013, 1, day)
        path = pattern.replace("*", "a").replace("{day}", str(date))
        path = path if "{" not in path else path.replace("{day:", "").replace("}", "")
        folder.write(date.strftime(path), f"n\n{day}\n")
    looked_into: list[str] = []
    listed = FilesSession._listed

    def spy(self: FilesSession, pattern: Pattern, folders: dict[str, bool]) -> object:
        looked_into.extend(folders)
        return listed(self, pattern, folders)

    monkeypatch.setattr(FilesSession, "_listed", spy)
    relation = folder.source.files(pattern, columns={"n": "int64"})
    assert [row["n"] for row in rows_of(relation, days("2013-01-01", "2013-01-03"))] == [1, 3]
    if not pattern.startswith("f/"):
        assert sorted(looked_into) == [
            dt.date(2013, 1, day).strftime(pattern.rpartition("/")[0].replace("{day}", "%Y-%m-%d"))
            .replace("{day:", "").replace("}", "")
            for day in (1, 3)
        ]  # fmt: skip


def test_of_many_partitions_the_folder_above_is_listed_once(folder: Folder) -> None:
    pattern = Pattern("orders/day={day}/*.csv")
    texts = [str(dt.date(2013, 1, 1) + dt.timedelta(i)) for i in range(40)]
    bounds = days(*texts).on(folder.source.files(pattern.text)._keys)
    assert pattern.folders(bounds, 32) == {"orders": True}
    assert len(pattern.folders(bounds, 40)) == 40


def test_a_month_of_days_is_found_in_a_template_of_days_and_no_day_in_one_of_months(folder: Folder) -> None:
    folder.write("2013-01-05.csv", ONE)
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    january = Scope(("day",), ((Window("2013-01", start, dt.datetime(2013, 2, 1, tzinfo=dt.UTC)),),))
    assert len(rows_of(folder.source.files("{day:%Y-%m-%d}.csv"), january)) == 1
    folder.write("m/2013-01.csv", ONE)
    monthly = folder.source.files("m/{day:%Y-%m}.csv")
    assert len(rows_of(monthly, january)) == 1
    with pytest.raises(SourceFailed, match="no file of 2013-01-05"):
        rows_of(monthly, days("2013-01-05"))


def test_a_partition_without_files_is_an_error_or_empty_as_declared(folder: Folder) -> None:
    folder.write("day=2013-01-01/a.csv", ONE)
    relation = folder.source.files("day={day}/*.csv")
    with pytest.raises(SourceFailed, match=r'no file of 2013-01-02: .*day=\{day\}.* no_files="empty"'):
        rows_of(relation, days("2013-01-01", "2013-01-02"))
    empty = folder.source.files("day={day}/*.csv", no_files="empty")
    assert len(rows_of(empty, days("2013-01-01", "2013-01-02"))) == 1
    assert rows_of(empty, days("2013-01-02")) == []


def test_no_file_at_all_is_an_error_or_an_empty_table_as_declared(folder: Folder) -> None:
    with pytest.raises(SourceFailed, match=r"there is no file: .*none/\*\.csv"):
        folder.rows("none/*.csv", columns={"n": "int64"})
    with pytest.raises(SourceFailed, match="and so no columns"):
        folder.rows("none/*.csv", no_files="empty")
    assert folder.rows("none/*.csv", columns={"n": "int64"}, no_files="empty") == []


def test_rows_are_chosen_where_the_partition_column_is_not_in_the_paths(folder: Folder) -> None:
    rows = [f"2013-01-0{day}T{hour:02}:30:00Z,{day}" for day in (1, 2, 3) for hour in (4, 5, 23)]
    folder.write("all.csv", "\n".join(["at,n", *rows, ",0"]))
    relation = folder.source.files("all.csv", columns={"at": "timestamp", "n": "int64"})
    chosen = rows_of(relation, days("2013-01-01", "2013-01-03", column="at"), ["n"])
    assert [row["n"] for row in chosen] == [1, 1, 2, 3, 3]
    keys = Scope(("n",), ((Key("2"),), (Key("0"),)))
    assert [row["n"] for row in rows_of(relation, keys, ["n"])] == [2, 2, 2, 0]


def test_a_scope_may_be_on_a_key_and_on_a_column(folder: Folder) -> None:
    folder.write("shop=a.csv", "n\n1\n2\n")
    folder.write("shop=b.csv", "n\n1\n2\n")
    relation = folder.source.files("shop={shop}.csv", columns={"n": "int64"})
    scope = Scope(("n", "shop"), ((Key("1"), Key("a")), (Key("2"), Key("b")), (Key("3"), Key("b"))))
    assert rows_of(relation, scope) == [{"n": 1, "shop": "a"}, {"n": 2, "shop": "b"}]


def test_a_scope_on_a_column_that_is_not_there_is_refused(folder: Folder) -> None:
    folder.write("a.csv", ONE)
    with pytest.raises(OutOfScope, match="the scope is on the column 'day'"):
        rows_of(folder.source.files("a.csv"), days("2013-01-01"))


def test_columns_are_read_in_the_order_that_is_asked_for_even_keys_alone(folder: Folder) -> None:
    folder.write("p=x/a.csv", "a,b\n1,2\n3,4\n")
    relation = folder.source.files("p={p}/*.csv")
    assert [list(row.values()) for row in rows_of(relation, columns=["b", "p"])] == [["2", "x"], ["4", "x"]]
    assert rows_of(relation, columns=["p"]) == [{"p": "x"}] * 2


def test_versions_change_with_the_files_of_their_own_partition_alone(folder: Folder) -> None:
    folder.write("day=2013-01-01/a.csv", ONE)
    folder.write("day=2013-01-02/a.csv", ONE)
    relation = folder.source.files("day={day}/*.csv")
    scopes = [days(f"2013-01-0{day}") for day in (1, 2, 3)]

    def versions() -> list[str]:
        with relation.system.session() as session:
            return relation.versions(session, scopes)

    first = versions()
    assert first[2] == NO_ROWS
    assert len({*first}) == 3
    folder.write("day=2013-01-02/b.csv", ONE)
    second = versions()
    assert (second[0] == first[0], second[1] == first[1], second[2]) == (True, False, NO_ROWS)
    with relation.system.session() as session:
        assert len(relation.versions(session, [Scope()])) == 1


def test_late_rows_tell_their_partitions(folder: Folder) -> None:
    folder.write("a.csv", "day,modified\n2013-01-01,2013-02-01T00:00:00Z\n2013-01-02,2013-02-03T00:00:00Z\n")
    relation = folder.source.files("a.csv", columns={"day": "date", "modified": "timestamp"})
    since = dt.datetime(2013, 2, 2, tzinfo=dt.UTC)
    with relation.system.session() as session:
        late = relation.changed(session, ["day"], "modified", since).read_all()
        assert late.to_pylist() == [{"day": dt.date(2013, 1, 2)}]
        with pytest.raises(SourceFailed, match="Did you mean modified"):
            relation.changed(session, ["day"], "modifed", since)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", "names no file"),
        ("/a.csv", "no path below the root"),
        ("s3://b/a.csv", "no path below the root"),
        ("a/../b.csv", "an empty part"),
        ("a**/b.csv", "'\\*\\*' within a name"),
        ("{a}/{a}.csv", "the key 'a' twice"),
        ("{a.csv", "brace"),
        ("{day:%Q}.csv", "'%Q' is not known"),
        ("{day:x}.csv", "no part of a date"),
        ("[a.csv", "without ']'"),
    ],
)
def test_what_is_no_pattern_is_refused_where_it_is_written(tmp_path: Path, pattern: str, text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        Pattern(pattern)
