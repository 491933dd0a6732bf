"""The pieces of work that are measured, the same for each way."""

from collections.abc import Callable
from dataclasses import dataclass

from data import events
from ways import Way

_OWN_DAYS = 100  # of a table with more, all but the first are added by delta-rs before the turns


def _write(way: Way) -> None:
    way.write()  # of the way's own class


def _nothing(way: Way, turn: int) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        label: the work, in words.
        timed: what is timed.
        prepare: what comes before the first turn, untimed.
        before: what comes before each turn, untimed; it gets the turn's number.
        turns: the number of turns, of which the median counts.
        wanted: what the project wants of itself, in words.
        against: "ratio" to delta-rs alone, or the time "added" over it.
        warm: whether a turn that does not count comes first.
        full: whether only the full benchmark has it.
        peers: whether what others publish takes part; in the full benchmark it does.

    """

    label: str
    timed: Callable[[Way], object]
    prepare: Callable[[Way], None] = Way.clear
    before: Callable[[Way, int], None] = _nothing
    turns: int = 5
    wanted: str = ""
    against: str = "ratio"
    warm: bool = True
    full: bool = False
    peers: bool = True


def _rewrite(rows: int) -> tuple[Callable[[Way], None], Callable[[Way, int], None]]:
    def prepare(way: Way) -> None:
        way.clear()
        way.take(events(rows, seed=1_000))
        way.write()

    return prepare, lambda way, turn: way.take(events(rows, seed=turn))


def _unchanged(rows: int) -> Callable[[Way], None]:
    return _rewrite(rows)[0]


def _first(rows: int) -> tuple[Callable[[Way], None], Callable[[Way, int], None]]:
    return lambda way: way.take(events(rows)), lambda way, _: way.clear()


def _days(count: int, rows: int) -> Callable[[Way], None]:
    def prepare(way: Way) -> None:
        way.clear()
        if count > _OWN_DAYS:
            way.take(events(rows // count, range(1)))
            way.write_days(range(1))
            way.add(events(rows - rows // count, range(1, count)))
        else:
            way.take(events(rows, range(count)))
            way.write_days(range(count))

    return prepare


def _each_day(count: int, rows: int) -> Callable[[Way], None]:
    def timed(way: Way) -> None:
        for number in range(count):
            way.take(events(rows, range(number, number + 1)))
            way.write_days(range(number, number + 1))

    return timed


def _one_of(count: int) -> Work:
    middle = range(count // 2, count // 2 + 1)
    return Work(
        f"one partition of {count:,} rewritten, 10 rows",
        lambda way: way.write_days(middle),
        _days(count, 10 * count),
        lambda way, turn: way.take(events(10, middle, turn + 1)),
        turns=7,
        wanted="≤ hand, our share flat",
        against="added",
        full=count > 5_000,
        peers=False,
    )


def _read_of(count: int, rows: int) -> Work:
    return Work(
        f"one partition of {count:,} read",
        lambda way: way.read_day(count // 2),
        _days(count, rows),
        turns=5,
        wanted="≤ hand",
        against="added",
        peers=False,
    )


def _million(label: str, wanted: str, rows: int = 1_000_000) -> Work:
    prepare, before = _rewrite(rows)
    return Work(label, _write, prepare, before, wanted=wanted)


_small, _small_before = _rewrite(1_000)
_first_10m, _first_10m_before = _first(10_000_000)

WORKS: dict[str, Work] = {
    "small": Work(
        "1,000 rows, one run",
        _write,
        _small,
        _small_before,
        turns=15,
        wanted="≤ hand",
        against="added",
    ),
    "rewrite": _million("1e6 rows x 8 columns, rewritten", "≤ 1.15, audited ≤ 1.25"),
    "same": Work("the same 1e6 rows again", _write, _unchanged(1_000_000), wanted="≤ 1", peers=False),
    "first": Work(
        "1e7 rows x 8 columns, first write",
        _write,
        _first_10m,
        _first_10m_before,
        turns=3,
        wanted="≤ 1.15, memory ≤ raw",
        warm=False,
    ),
    "days": Work(
        "100 partitions in one run, first",
        lambda way: way.write_days(range(100)),
        lambda way: way.take(events(100_000, range(100))),
        lambda way, _: way.clear(),
        wanted="≤ hand",
        against="added",
    ),
    "days-again": Work(
        "100 partitions in one run, other rows",
        lambda way: way.write_days(range(100)),
        _days(100, 100_000),
        lambda way, turn: way.take(events(100_000, range(100), turn + 1)),
        wanted="≤ hand",
        against="added",
        peers=False,
    ),
    "runs": Work(
        "100 partitions, 100 runs",
        _each_day(100, 1_000),
        before=lambda way, _: way.clear(),
        turns=2,
        wanted="≤ hand",
        warm=False,
        against="added",
        peers=False,
    ),
    **{f"one-of-{count}": _one_of(count) for count in (1, 100, 1_000, 5_000, 10_000)},
    "read-of-100": _read_of(100, 1_000_000),
    "read-of-5000": _read_of(5_000, 50_000),
}
