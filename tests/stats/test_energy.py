"""From the readings of a power sensor to an energy: known powers come back, a counter may wrap, and what the readings
cannot tell is said."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from energy_records import READINGS, metered, noisy, window
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.records import Energy, Metered
from edgeprof.stats.energy import known, log_mean, mean_power_w, of_cell


def test_a_known_power_gives_the_known_energy_gross_and_above_idle() -> None:
    found = of_cell("a", [metered(number) for number in range(5)])
    assert found.reason is None
    assert found.energy_mj is not None
    assert found.above_idle_mj is not None
    assert found.energy_mj.value == pytest.approx(5.0 * 9.8)
    assert found.above_idle_mj.value == pytest.approx(3.0 * 9.8)
    assert (found.power_w, found.idle_power_w) == pytest.approx((5.0, 2.0))
    assert (found.rounds, found.inferences) == (5, 500)
    assert found.seconds == pytest.approx(4.9)
    assert found.readings == READINGS
    assert found.slowed is not None
    assert found.slowed.value == pytest.approx(9.8 / 9.7)


def counter(values: list[int], wraps: int | None = 10_000_000) -> Metered:
    return metered(counts="energy", wraps=wraps, update_ns=1_000_000, windows=(window("busy", values, inferences=1),))


@given(begin=st.integers(0, 9_999_999), step=st.integers(1, 199_999))
def test_a_counter_that_begins_at_0_again_goes_on_counting(begin: int, step: int) -> None:
    """Some counters wrap within minutes: 20 ms between readings, so `step` µJ are `step` x 50 µW."""
    one = counter([(begin + place * step) % 10_000_000 for place in range(40)])
    assert mean_power_w(one, one.windows[0]) == pytest.approx(step * 50 / 1e6)


@pytest.mark.parametrize("wraps", [None, 50])
def test_a_counter_that_falls_and_does_not_say_where_it_wraps_tells_nothing(wraps: int | None) -> None:
    one = counter([100, 200, 50, 150], wraps)
    assert mean_power_w(one, one.windows[0]) is None


def test_the_power_between_readings_is_weighted_by_the_time_between_them() -> None:
    one = metered()
    uneven = window("busy", [1_000_000, 1_000_000, 4_000_000], inferences=1)
    uneven = msgspec.structs.replace(uneven, at_ns=(0, 900, 1000))
    assert mean_power_w(one, uneven) == pytest.approx(0.9 * 1.0 + 0.1 * 2.5)


def few(updates: int) -> Metered:
    """The same value is read again and again until the sensor has measured anew."""
    values = np.repeat(noisy(5.0)[:updates], 100 // updates).tolist()
    return metered(windows=(window("idle", noisy(2.0)), window("busy", values, inferences=9)))


@pytest.mark.parametrize(
    ("rounds", "words"),
    [
        ([few(4)], "too few readings of the sensor: 4 in a window, 10 are needed"),
        ([metered(update_ns=200_000_000)], "too few readings of the sensor: 4 in a window"),
        ([metered(windows=(window("idle", [7] * 50), window("busy", [7] * 50, inferences=9)))], "the same value"),
        ([metered(busy_w=0.000001, idle_w=5)], None),
        ([metered(windows=(window("idle", noisy(2.0)), window("busy", [0] * 20 + [1] * 20, inferences=9)))], "too few"),
        ([metered(windows=(window("idle", noisy(2.0)),))], "make no sense"),
        ([], "not measured"),
    ],
)
def test_what_the_readings_cannot_tell_is_said_and_is_no_number(rounds: list[Metered], words: str | None) -> None:
    found = of_cell("a", rounds)
    if words is None:
        assert found.energy_mj is not None
        assert found.above_idle_mj is not None
        assert found.above_idle_mj.value < 0  # lost in noise, and shown as it is
        return
    assert found.energy_mj is None
    assert found.reason is not None
    assert words in found.reason


def test_a_steady_power_is_believed_of_a_sensor_that_tells_how_often_it_measures() -> None:
    steady = (window("idle", [2_000_000] * 50), window("busy", [5_000_000] * 50, inferences=100))
    found = of_cell("a", [metered(update_ns=30_000_000, windows=steady)])
    assert found.energy_mj is not None
    assert found.energy_mj.value == pytest.approx(49.0)
    assert (found.energy_mj.low, found.energy_mj.high) == (None, None)  # one round has no interval


def test_rounds_without_a_figure_are_left_out_and_counted() -> None:
    found = of_cell("a", [metered(0), few(4), metered(2), metered(3)])
    assert found.rounds == 3


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(1000):
        interval = log_mean(np.exp(rng.normal(0, 0.1, 5)).tolist())
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= 1 <= interval.high
    assert 930 <= hits <= 970


def test_an_interval_at_95_tells_all_others_and_every_probability() -> None:
    values = [1.0, 1.1, 0.95, 1.02, 1.2]
    at = {level: log_mean(values, level) for level in (0.95, 0.998)}
    its = known(at[0.95].value, at[0.95].high, 5)
    assert its is not None
    wide = its.interval(0.998)
    assert (wide.low, wide.high) == pytest.approx((at[0.998].low, at[0.998].high))
    assert at[0.95].high is not None
    assert its.probability_within(at[0.95].high) == pytest.approx(0.975)
    assert its.probability_within(at[0.95].value) == pytest.approx(0.5)
    assert its.draws(np.array([0.5, 0.975])) == pytest.approx([at[0.95].value, at[0.95].high])
    same = known(2.0, 2.0, 5)
    assert same is not None
    assert (same.probability_within(1.9), same.probability_within(2.0)) == (0.0, 1.0)


def test_with_two_rounds_there_is_no_interval_to_tell_a_probability_from() -> None:
    found: Energy = of_cell("a", [metered(0), metered(1)])
    assert found.energy_mj is not None
    assert known(found.energy_mj.value, found.energy_mj.high, found.rounds) is None
