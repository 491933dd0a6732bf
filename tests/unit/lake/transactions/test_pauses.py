from itertools import islice

from practicus_assets.lake.transactions.pauses import pauses


def test_pauses_grow_to_a_second_and_no_two_writers_have_the_same() -> None:
    many = [list(islice(pauses(), 12)) for _ in range(50)]
    longest = [max(at_once) for at_once in zip(*many, strict=True)]
    assert longest[0] <= 0.02
    assert 0.5 < longest[-1] <= 1.0
    assert len({tuple(sequence) for sequence in many}) == 50
