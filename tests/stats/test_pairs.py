"""The verdict on a pair: right in 19 of 20 although it is looked at after every round, and honest when undecided."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.stats.pairs import Comparison, compare

SESSIONS = 120


def looked_at_every_round(ratio: float, seed: int, spread: float = 0.01, shared: float = 0.05) -> Comparison:
    """Rounds until a verdict, at most 40. Both share the round's mood (sd 5%); what is left differs by 1%."""
    generator = np.random.default_rng(seed)
    mood = np.exp(shared * generator.standard_normal(40))
    first, second = mood * np.exp(spread / np.sqrt(2) * generator.standard_normal((2, 40)))
    for rounds in range(7, 41):  # there is no interval before
        found = compare((ratio * first[:rounds, np.newaxis]).tolist(), second[:rounds, np.newaxis].tolist())
        if found.verdict != "undecided":
            break
    return found


@pytest.mark.parametrize(
    ("ratio", "right"), [(0.9, "faster"), (0.95, "faster"), (1.0, "same"), (1.01, "same"), (1.05, "slower")]
)
def test_a_pair_is_told_apart_although_the_machine_moves_by_more(ratio: float, right: str) -> None:
    found = [looked_at_every_round(ratio, seed) for seed in range(SESSIONS)]
    assert np.mean([one.verdict == right for one in found]) >= (0.95 if ratio != 1.01 else 0.5)
    wrong = np.mean([one.verdict not in (right, "undecided") for one in found])
    assert wrong <= 0.05


def test_on_the_edge_of_the_zone_a_verdict_is_rarely_wrong() -> None:
    """Hardest: a ratio of exactly 1.02, where any verdict but undecided is as good as wrong."""
    found = [looked_at_every_round(1.0201, seed) for seed in range(SESSIONS // 2)]
    assert np.mean([one.verdict == "same" for one in found]) <= 0.05
    assert all(one.verdict != "faster" for one in found)


def test_the_interval_holds_the_ratio_at_the_moment_of_the_verdict() -> None:
    found = [looked_at_every_round(1.03, seed).ratio for seed in range(SESSIONS)]
    held = [one.low is not None and one.high is not None and one.low <= 1.03 <= one.high for one in found]
    assert np.mean(held) >= 0.93


def test_turned_round_it_says_the_opposite() -> None:
    generator = np.random.default_rng(0)
    one, other = (generator.lognormal(mean, 0.01, (20, 5)).tolist() for mean in (0.0, 0.1))
    there, back = compare(one, other), compare(other, one)
    assert (there.verdict, back.verdict) == ("faster", "slower")
    assert there.ratio.value == pytest.approx(1 / back.ratio.value)


def test_undecided_says_how_many_rounds_it_may_take() -> None:
    assert compare([[1.0]] * 3, [[1.0]] * 3) == Comparison(
        ratio=compare([[1.0]] * 3, [[1.0]] * 3).ratio, verdict="undecided", rounds=3, rounds_more=4
    )
    generator = np.random.default_rng(3)
    first, second = generator.lognormal(0, 0.03, (2, 10, 1)).tolist()
    found = compare(first, second)
    assert found.verdict == "undecided"
    assert found.rounds_more is None or found.rounds_more > 0
    assert compare([[1.02]] * 5, [[1.0]] * 5, zone=0.5).rounds_more == 2


def test_rounds_without_a_partner_are_not_used() -> None:
    assert compare([[1.0]] * 9, [[1.0]] * 7).rounds == 7


@pytest.mark.parametrize("fields", [{"zone": 0.0}, {"zone": -1.0}, {"zone": float("nan")}, {"confidence": 1.0}])
def test_settings_that_mean_nothing_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        compare([[1.0]], [[1.0]], **fields)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(UsageError):
        compare([], [[1.0]])


rounds_of = st.lists(st.lists(st.floats(1, 1e9), min_size=1, max_size=4), min_size=1, max_size=65)


@given(rounds_of, rounds_of, st.floats(0.001, 1))
def test_any_pair_has_a_verdict(first: list[list[float]], second: list[list[float]], zone: float) -> None:
    found = compare(first, second, zone)
    assert (found.verdict == "undecided") == (found.rounds_more != 0)
    if found.ratio.low is not None and found.ratio.high is not None:
        assert found.ratio.low <= found.ratio.value * (1 + 1e-12)
        assert found.ratio.value <= found.ratio.high * (1 + 1e-12)
