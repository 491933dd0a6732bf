import threading

from practicus_assets.external.changes.turns import taken


def test_all_have_their_turn_and_are_given_back_in_their_order() -> None:
    running: set[str] = set()
    turns = taken("cabd", str.upper, 60, running)
    assert list(turns.results.items()) == [("c", "C"), ("a", "A"), ("b", "B"), ("d", "D")]
    assert (turns.failures, turns.later, running) == ({}, (), set())


def test_those_that_had_no_turn_in_time_are_named_for_the_next_one() -> None:
    answer, running = threading.Event(), set[str]()
    turns = taken("abc", lambda _: answer.wait(60), 1.0, running, side_by_side=1)
    answer.set()
    assert list(turns.failures) == ["a"]
    assert turns.later == ("b", "c")


def test_one_that_is_still_looked_at_has_no_second_turn() -> None:
    turns = taken("ab", str.upper, 60, {"a"})
    assert turns.results == {"b": "B"}
    assert turns.failures == {"a": "an earlier tick still looks at it."}
