"""The sweep over threads: which files are in it, and what a speed-up is."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import study

from edgeprof.report.samples import by_job
from edgeprof.report.threads import scaling, sweeps
from edgeprof.report.words import Names

RANKING, MEASUREMENTS = study()
NAMES = Names(RANKING.candidates)


def test_every_file_with_several_thread_counts_is_there_once_fewest_threads_first() -> None:
    found = sweeps(RANKING.candidates, by_job(MEASUREMENTS))
    assert len(found) == 9
    assert {tuple(one.threads for one in sweep.candidates) for sweep in found} == {(1, 4)}
    assert all(len({one.artifact_sha for one in sweep.candidates}) == 1 for sweep in found)
    jobs = [one.job for sweep in found for one in sweep.candidates]
    assert sorted(jobs) == sorted(one.job for one in RANKING.candidates)


def test_one_thread_count_is_no_sweep_and_other_files_are_not_mixed_in() -> None:
    single = [one for one in RANKING.candidates if one.threads == 4]
    assert sweeps(single, {}) == []
    apart = [
        msgspec.structs.replace(one, artifact_sha=f"{one.artifact_sha}-{one.threads}") for one in RANKING.candidates
    ]
    assert sweeps(apart, {}) == []


def test_a_speed_up_pairs_the_rounds_that_ran_beside_each_other() -> None:
    """A device that is half as fast in some rounds slows both thread counts: the ratio must not notice."""
    found = by_job(MEASUREMENTS)
    first = sweeps(RANKING.candidates, found)[0]
    base, more = (found[one.job] for one in first.candidates)
    slowed = {
        one.cell.job: msgspec.structs.replace(
            one,
            rounds=tuple(
                msgspec.structs.replace(each, samples_ns=tuple(ns * (1 + each.round % 2) for ns in each.samples_ns))
                for each in one.rounds
            ),
        )
        for one in (base, more)
    }
    (plain,), (shaken,) = sweeps(first.candidates, found), sweeps(first.candidates, slowed)
    assert shaken.speedups == plain.speedups
    speedup = plain.speedups[1]
    assert speedup.low is not None
    assert speedup.high is not None
    assert 2 < speedup.low < speedup.value < speedup.high < 3.5
    assert speedup.value == pytest.approx(first.candidates[0].median_ms / first.candidates[1].median_ms, rel=0.03)


def test_without_samples_there_is_a_ratio_but_no_interval() -> None:
    first = sweeps(RANKING.candidates, {})[0]
    assert first.speedups[1].value == first.candidates[0].median_ms / first.candidates[1].median_ms
    assert (first.speedups[1].low, first.speedups[1].high) == (None, None)


def test_rounds_of_another_attempt_are_no_partners() -> None:
    found = by_job(MEASUREMENTS)
    first = sweeps(RANKING.candidates, found)[0]
    job = first.candidates[1].job
    again = tuple(msgspec.structs.replace(one, attempt=1) for one in found[job].rounds)
    moved = {**found, job: msgspec.structs.replace(found[job], rounds=again)}
    assert sweeps(first.candidates, moved)[0].speedups[1].low is None


@given(st.lists(st.integers(1, 64), min_size=2, max_size=6, unique=True), st.floats(1e-3, 1e4))
def test_any_thread_counts_can_be_drawn(counts: list[int], ms: float) -> None:
    one = RANKING.candidates[0]
    rows = sweeps([msgspec.structs.replace(one, threads=count, median_ms=ms, job=str(count)) for count in counts], {})
    spec = scaling(rows, NAMES, width=350, columns=1)
    (panel,) = spec["concat"]
    points = panel["data"]["values"]
    assert [point["threads"] for point in points] == sorted(counts)
    assert all(math.isfinite(point["ideal"]) for point in points)
    low, high = panel["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert low < min(counts)
    assert high > max(counts)
