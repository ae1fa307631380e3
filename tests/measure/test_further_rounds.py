"""Which further rounds are measured: one of each cell in question, in the attempt that counts."""

from __future__ import annotations

from rank_records import rounds_of

from edgeprof.measure.more import further
from edgeprof.records import Round
from edgeprof.stats import sequence


def of(job: str, count: int) -> list[Round]:
    return rounds_of(job, [[1.0, 1.1]] * count)


def test_each_cell_in_question_gets_its_next_round_and_all_positions_differ() -> None:
    rounds = {"a": of("a", 3), "b": of("b", 5), "c": of("c", 4)}
    places = further(["a", "b"], rounds, 0)
    assert {(one.job, one.round) for one in places} == {("a", 3), ("b", 5)}
    assert sorted(one.position for one in places) == [5, 6]
    assert {one.attempt for one in places} == {0}
    assert further(["b", "a"], rounds, 0) == places


def test_a_cell_with_all_rounds_that_its_interval_takes_gets_no_more() -> None:
    assert further(["a"], {"a": of("a", sequence.HORIZON)}, 0) == []
