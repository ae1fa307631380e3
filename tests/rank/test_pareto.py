"""The front against its definition, spelled out pair by pair."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rank_records import candidate

from edgeprof.rank import front
from edgeprof.records import Candidate

points = st.lists(
    st.tuples(
        st.integers(1, 5).map(float),
        st.none() | st.sampled_from([0.0, 0.5, 0.7, 0.9, 1.0]),
        st.sampled_from([True, True, True, False]),
    ),
    max_size=14,
)


def made(rows: list[tuple[float, float | None, bool]]) -> list[Candidate]:
    return [candidate(str(i), median_ms=ms, top1=top1, trusted=ok) for i, (ms, top1, ok) in enumerate(rows)]


def beats(one: Candidate, other: Candidate) -> bool:
    assert one.top1 is not None
    assert other.top1 is not None
    as_good = one.median_ms <= other.median_ms and one.top1 >= other.top1
    return as_good and (one.median_ms < other.median_ms or one.top1 > other.top1)


@given(points)
def test_on_the_front_is_what_nothing_eligible_beats(rows: list[tuple[float, float | None, bool]]) -> None:
    candidates = made(rows)
    eligible = [one for one in candidates if one.trusted and one.top1 is not None]
    for one, mark in zip(candidates, front(candidates), strict=True):
        expected = one in eligible and not any(beats(other, one) for other in eligible)
        assert mark == expected


@given(points)
def test_the_fastest_and_the_most_accurate_are_on_it(rows: list[tuple[float, float | None, bool]]) -> None:
    candidates = made(rows)
    on_it = [one for one, mark in zip(candidates, front(candidates), strict=True) if mark]
    eligible = [one for one in candidates if one.trusted and one.top1 is not None]
    assert bool(on_it) == bool(eligible)
    if eligible:
        assert min(one.median_ms for one in on_it) == min(one.median_ms for one in eligible)
        assert max(one.top1 or 0.0 for one in on_it) == max(one.top1 or 0.0 for one in eligible)


def test_equals_stand_on_it_together() -> None:
    assert front(made([(1.0, 0.9, True), (1.0, 0.9, True), (2.0, 0.9, True)])) == [True, True, False]


def test_the_untrusted_keeps_nobody_off() -> None:
    assert front(made([(0.1, 1.0, False), (1.0, 0.9, True)])) == [False, True]
