"""Time by operator: nothing is lost in the sums, and the drawing takes any names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import study

from edgeprof.records import Operator
from edgeprof.report.drawing import to_svg
from edgeprof.report.operators import MOST, bars, by_kind, profiles

RANKING, _ = study()


def operator(kind: str, ns: int) -> Operator:
    return Operator(name=kind, kind=kind, runs_on=None, precision=None, median_ns=ns)


steps = st.lists(st.builds(operator, st.sampled_from("abcdefghijklmnop"), st.integers(0, 10**7)), max_size=60)


@given(steps)
def test_the_kinds_hold_every_operator_and_all_of_the_time(found: list[Operator]) -> None:
    kinds = by_kind(found)
    assert sum(kind.operators for kind in kinds) == len(found)
    assert sum(kind.ms for kind in kinds) == pytest.approx(sum(one.median_ns for one in found) / 1e6)
    if any(one.median_ns for one in found):
        assert sum(kind.share for kind in kinds) == pytest.approx(1)
    assert len(kinds) <= MOST + 1
    shown = [kind for kind in kinds if not kind.rest]
    assert [kind.ms for kind in shown] == sorted((kind.ms for kind in shown), reverse=True)
    assert not any(kind.rest for kind in kinds[:-1])


STEPS = [operator("a", 5), operator("b", 5), operator("a", 1), operator("c", 6)]


@given(st.permutations(STEPS))
def test_the_kinds_do_not_depend_on_the_order_of_the_operators(found: list[Operator]) -> None:
    assert [kind.name for kind in by_kind(found)] == ["a", "c", "b"]  # equal times by name
    assert by_kind(found) == by_kind(STEPS)


def test_nine_kinds_have_a_bar_each_and_ten_share_one() -> None:
    nine = by_kind([operator(str(number), 100 - number) for number in range(MOST + 1)])
    assert [kind.rest for kind in nine] == [False] * 9
    ten = by_kind([operator(str(number), 100 - number) for number in range(MOST + 2)])
    assert [kind.name for kind in ten[-2:]] == ["7", "2 other kinds"]


def test_profiles_follow_the_candidates_and_share_out_the_sum() -> None:
    found = profiles(RANKING.candidates, RANKING.operators)
    order = [one.job for one in RANKING.candidates]
    assert [order.index(one.candidate.job) for one in found] == sorted(order.index(one.candidate.job) for one in found)
    for profile in found:
        assert sum(share for _, _, share in profile.rows) == pytest.approx(1)
        assert sum(ms for _, ms, _ in profile.rows) == pytest.approx(profile.sum_ms)


def test_hostile_and_empty_kinds_are_drawn_as_text() -> None:
    (profile, *_) = profiles(RANKING.candidates, RANKING.operators)
    changed = type(profile)(
        **{
            **{name: getattr(profile, name) for name in profile.__struct_fields__},
            "kinds": tuple(by_kind([operator('<script>alert("&', 3), operator("", 0), operator("\u202e\x1b[31m", 1)])),
        }
    )
    svg = to_svg(bars(changed, width=480))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "\u202e" not in svg
    assert "\x1b" not in svg
