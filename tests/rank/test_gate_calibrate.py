"""What a calibration says of a device: little noise finds the limit, much finds nothing, and nothing is invented."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprof.rank.gate_calibrate import CHANGES, GATES, calibration
from edgeprof.records.gate import GateCalibration, GateLimits, LatencyLimit


def found(spread: float, share: float = 0.05, candidates: int = 3, pairs: int = 54) -> GateCalibration:
    generator = np.random.default_rng(0)
    logs = (spread * generator.standard_normal((candidates, pairs))).tolist()
    levels = (0.02 * generator.standard_normal((candidates, 7))).tolist()
    limits = GateLimits(latency=(LatencyLimit(percentile=50, share=share),))
    return calibration(logs, levels, limits, made_at="2026-01-02T03:04:05Z")


def test_a_quiet_device_finds_its_limit_and_cries_no_wolf() -> None:
    quiet = found(0.01)
    assert (quiet.gates, quiet.false_failures, quiet.undecided) == (GATES, 0, 0)
    assert quiet.false_alarm_high < 0.005
    assert quiet.smallest_change is not None
    assert 0.03 <= quiet.smallest_change <= 0.05
    caught = {one.change: one.caught for one in quiet.power}
    assert tuple(caught) == CHANGES
    assert caught[0.01] == 0
    assert caught[0.5] == 1
    assert quiet.pair_sd == pytest.approx(0.01, rel=0.3)


def test_a_restless_device_finds_only_what_is_larger_and_says_so() -> None:
    restless = found(0.1)
    assert restless.undecided > 100
    assert restless.smallest_change is not None
    assert restless.smallest_change >= 0.08
    assert found(2.0).smallest_change is None


def test_the_spread_from_session_to_session_has_the_degrees_of_freedom_of_the_sessions() -> None:
    one = found(0.01)
    assert (one.sessions, one.between_df, one.pairs) == (7, 6, 3 * 54)
    assert one.between_sd == pytest.approx(0.02, rel=0.4)


def test_the_same_records_say_the_same() -> None:
    assert found(0.03) == found(0.03)
