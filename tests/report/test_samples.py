"""Drawing fewer points than were measured must not hide any."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from report_records import study

from edgeprof.records import Measurement
from edgeprof.report.drawing import log_domain, log_ticks
from edgeprof.report.labels import Point, put_labels
from edgeprof.report.samples import in_time_order, spread

_, MEASUREMENTS = study()


def with_samples(blocks: list[list[int]]) -> Measurement:
    first = MEASUREMENTS[0]
    rounds = tuple(msgspec.structs.replace(first.rounds[0], samples_ns=tuple(block)) for block in blocks)
    return msgspec.structs.replace(first, rounds=rounds)


blocks = st.lists(st.lists(st.integers(1, 10**9), min_size=1, max_size=200), min_size=1, max_size=6)


@given(blocks, st.integers(1, 40))
def test_every_round_keeps_its_extremes_and_its_order(samples: list[list[int]], buckets: int) -> None:
    drawn = in_time_order(with_samples(samples), buckets)
    for number, block in enumerate(samples):
        mine = [bucket for bucket in drawn if bucket.round == number]
        assert len(mine) == min(buckets, len(block))
        assert max(bucket.high for bucket in mine) == max(block) / 1e6
        assert min(bucket.low for bucket in mine) == min(block) / 1e6
        assert all(bucket.low <= bucket.middle <= bucket.high for bucket in mine)
    positions = [bucket.position for bucket in drawn]
    assert positions == sorted(positions)
    assert len(set(positions)) == len(positions)


@given(blocks)
def test_the_spread_is_that_of_all_samples(samples: list[list[int]]) -> None:
    found = spread(with_samples(samples))
    pooled = np.concatenate([np.asarray(block) for block in samples]) / 1e6
    assert (found.low, found.high) == (pooled.min(), pooled.max())
    assert found.low <= found.p10 <= found.p25 <= found.p50 <= found.p75 <= found.p90 <= found.high


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20), st.integers(5, 10))
def test_a_logarithmic_axis_holds_all_and_has_a_few_ticks(values: list[float], most: int) -> None:
    low, high = log_domain(values)
    assert low < min(values)
    assert high > max(values)
    ticks = log_ticks((low, high), most)
    assert 2 <= len(ticks) <= most
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0, 100)), min_size=1, max_size=15))
def test_names_in_a_plot_never_cover_one_another(points: list[tuple[float, float]]) -> None:
    named = [Point(x=x, y=y, text="a name of some length") for x, y in points]
    placed = put_labels(named, points, x_domain=(0.9, 110), y_domain=(-5, 105), width=600, height=400)
    assert len({(one.x, one.y, one.dx, one.dy) for one in placed}) == len(placed)
