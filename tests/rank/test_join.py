"""Joining measurements with accuracies, and the order that comes out."""

from __future__ import annotations

from typing import Any

import pytest
from energy_records import metered
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rank_records import FACTS, RUN, artifact, measurement

from edgeprof.errors import RecordError, UsageError
from edgeprof.rank import ORDERS, ranking
from edgeprof.records import Failure, Identity, Measurement, Operators, Ran
from edgeprof.stats.energy import of_cell

STEADY = [[1.0, 1.01, 1.02]] * 5


def blocks(scale: float, spread: float = 0.01, rounds: int = 5) -> list[list[float]]:
    """Rounds whose medians differ by `spread` from each other."""
    return [[scale * (1 + spread * number)] * 5 for number in range(rounds)]


def test_accuracy_follows_the_file_and_not_the_name() -> None:
    files = [artifact("sha-b", 0.5, model="model-a"), artifact("sha-a", 0.9, model="model-b")]
    found = ranking(RUN, [measurement("a", STEADY)], files, [])
    assert found.candidates[0].top1 == 0.9
    assert found.candidates[0].artifact_sha == "sha-a"


def test_equal_bytes_of_two_exports_keep_their_own_names() -> None:
    files = [artifact("same", 0.9, model="model-a", init=None, seed=None, size=1), artifact("same", 0.9, model="other")]
    found = ranking(RUN, [measurement("a", STEADY, sha="same")], files[::-1], [])
    assert found.candidates[0].model == "model-a"
    assert found.candidates[0].size_bytes == 1


def test_top1_has_wilsons_interval() -> None:
    (one,) = ranking(RUN, [measurement("a", STEADY)], [artifact("sha-a", 441 / 450)], []).candidates
    assert one.top1 == 441 / 450
    assert one.top1_low == pytest.approx(0.9624, abs=1e-3)  # from the formula by hand: 441 of 450 at 95%
    assert one.top1_high == pytest.approx(0.9894, abs=1e-3)


def test_a_ready_file_has_no_accuracy_and_is_not_on_the_front() -> None:
    file = artifact("sha-a", None, checkpoint_sha=None, preprocessing=None, training=None, params=None)
    (one,) = ranking(RUN, [measurement("a", STEADY)], [file], []).candidates
    assert (one.top1, one.top1_low, one.top1_high, one.test_images, one.image_size) == (None, None, None, None, None)
    assert not one.pareto
    assert (one.rank, one.rank_low, one.rank_high) == (1, 1, 1)


def test_clearly_different_candidates_are_placed_1_2_3() -> None:
    cells = [measurement(job, blocks(scale)) for job, scale in (("c", 9.0), ("a", 1.0), ("b", 3.0))]
    found = ranking(RUN, cells, [artifact(f"sha-{job}") for job in "abc"], [])
    assert [(one.job, one.rank, one.rank_low, one.rank_high) for one in found.candidates] == [
        ("a", 1, 1, 1),
        ("b", 2, 2, 2),
        ("c", 3, 3, 3),
    ]


def test_candidates_that_cannot_be_told_apart_share_a_rank() -> None:
    cells = [measurement("a", blocks(1.0)), measurement("b", blocks(1.001)), measurement("c", blocks(9.0))]
    found = ranking(RUN, cells, [artifact(f"sha-{job}") for job in "abc"], [])
    assert [(one.job, one.rank, one.rank_low, one.rank_high) for one in found.candidates] == [
        ("a", 1, 1, 2),
        ("b", 1, 1, 2),
        ("c", 3, 3, 3),
    ]


def test_ties_everywhere_even_with_unequal_numbers_of_rounds() -> None:
    """The logarithms of equal samples differ in the last bit; that must not part them."""
    cells = [measurement(job, [[0.7] * 3] * rounds) for job, rounds in (("a", 3), ("b", 5), ("c", 7), ("d", 10))]
    found = ranking(RUN, cells, [artifact(f"sha-{job}") for job in "abcd"], [])
    assert {(one.rank, one.rank_low, one.rank_high) for one in found.candidates} == {(1, 1, 4)}


def test_the_untrusted_come_last_with_their_reasons_and_open_bounds() -> None:
    cells = [measurement("a", blocks(0.1), trusted=False, reasons=("the clock fell",)), measurement("b", blocks(1.0))]
    found = ranking(RUN, cells, [artifact("sha-a", 0.99), artifact("sha-b", 0.5)], []).candidates
    assert [(one.job, one.rank, one.rank_low, one.rank_high, one.pareto) for one in found] == [
        ("b", 1, 1, 2, True),
        ("a", 2, 1, 2, False),
    ]
    assert found[1].reasons == ("the clock fell",)


def test_two_rounds_give_no_interval_and_so_no_order() -> None:
    cells = [measurement("a", blocks(1.0, rounds=2)), measurement("b", blocks(50.0, rounds=2))]
    found = ranking(RUN, cells, [artifact("sha-a"), artifact("sha-b")], []).candidates
    assert [(one.job, one.rank, one.rank_high, one.median_low_ms) for one in found] == [
        ("a", 1, 2, None),
        ("b", 1, 2, None),
    ]


@pytest.mark.parametrize(
    ("by", "first"), [("latency", "a"), ("top1", "b"), ("size", "c"), ("memory", "d")], ids=lambda value: str(value)
)
def test_each_order_puts_its_own_best_first(by: str, first: str) -> None:
    cells = [
        measurement("a", blocks(1.0), peaks=[400] * 5),
        measurement("b", blocks(5.0), peaks=[300] * 5),
        measurement("c", blocks(6.0), peaks=[200] * 5),
        measurement("d", blocks(7.0), peaks=[100] * 5),
    ]
    files = [artifact("sha-a", 0.5, 9), artifact("sha-b", 0.99, 8), artifact("sha-c", 0.5, 1), artifact("sha-d", 0.5)]
    found = ranking(RUN, cells, files, [], by=by)
    assert found.candidates[0].job == first
    assert found.by == by
    assert found.candidates[0].rank_high == 1


def test_a_score_is_told_as_a_multiple_of_the_best_and_no_other_order_has_one() -> None:
    cells = [measurement("a", blocks(1.0)), measurement("b", blocks(2.0)), measurement("c", blocks(3.0))]
    files = [artifact("sha-a", 0.9), artifact("sha-b", 0.9), artifact("sha-c", None)]
    found = ranking(RUN, cells, files, [], by="latency=2,top1=1").candidates
    assert [one.score for one in found] == [1.0, pytest.approx(4.0), None]
    assert all(one.score is None for one in ranking(RUN, cells, files, [], by="latency").candidates)


def test_unknown_memory_and_accuracy_rank_last() -> None:
    cells = [measurement("a", STEADY, peaks=[None] * 5), measurement("b", STEADY, peaks=[7] * 5)]
    files = [artifact("sha-a", 0.1), artifact("sha-b", None)]
    memory = ranking(RUN, cells, files, [], by="memory").candidates
    assert [(one.job, one.rank, one.peak_rss_bytes) for one in memory] == [("b", 1, 7), ("a", 2, None)]
    assert [one.job for one in ranking(RUN, cells, files, [], by="top1").candidates] == ["a", "b"]


@pytest.mark.parametrize("by", ["memory", "top1", "latency=2,top1=1", "memory=1,size=1"])
def test_an_order_by_what_nobody_measured_is_refused(by: str) -> None:
    cells = [measurement("a", STEADY, peaks=[None] * 5), measurement("b", STEADY, peaks=[None] * 5)]
    with pytest.raises(UsageError, match="no candidate"):
        ranking(RUN, cells, [artifact("sha-a", None), artifact("sha-b", None)], [], by=by)


def test_memory_that_varies_is_not_exact() -> None:
    cells = [measurement("a", STEADY, peaks=[100, 140, 90, 120, 110]), measurement("b", STEADY, peaks=[118] * 5)]
    found = ranking(RUN, cells, [artifact("sha-a"), artifact("sha-b")], [], by="memory").candidates
    assert [(one.job, one.rank) for one in found] == [("b", 1), ("a", 1)]
    assert found[1].peak_rss_bytes == 140


def test_rounds_on_different_providers_are_all_named() -> None:
    one = measurement("a", STEADY)
    rounds = [r if r.round else type(r)(**{**_fields(r), "runs_on": "GPU"}) for r in one.rounds]
    found = ranking(RUN, [measurement("a", STEADY, rounds=tuple(rounds))], [artifact("sha-a")], [])
    assert found.candidates[0].runs_on == "GPU / CPU"


def test_cold_start_has_its_own_interval_and_the_runtimes_own_call_its_own_median() -> None:
    """Seven rounds: the interval of one number a round is from the smallest to the largest."""
    rounds = [
        type(one)(**{**_fields(one), "load_ns": (10 + n) * 1_000_000, "first_ns": (5 + n) * 1_000_000})
        for n, one in enumerate(measurement("a", blocks(1.0, rounds=7)).rounds)
    ]
    (one,) = ranking(
        RUN, [measurement("a", STEADY, rounds=tuple(rounds), attempts=2)], [artifact("sha-a")], []
    ).candidates
    assert (one.load_low_ms, one.load_ms, one.load_high_ms) == (10.0, 13.0, 16.0)
    assert (one.first_low_ms, one.first_ms, one.first_high_ms) == (5.0, 8.0, 11.0)
    assert one.call_ms == pytest.approx(0.9 * one.median_ms)
    assert one.attempts == 2


def test_a_runtime_that_does_not_tell_its_own_call_has_none() -> None:
    rounds = tuple(type(one)(**{**_fields(one), "call_ns": ()}) for one in measurement("a", STEADY).rounds)
    found = ranking(RUN, [measurement("a", STEADY, rounds=rounds)], [artifact("sha-a")], [])
    assert found.candidates[0].call_ms is None


def test_few_samples_have_no_99th_percentile_but_a_reason() -> None:
    (one,) = ranking(RUN, [measurement("a", STEADY)], [artifact("sha-a")], []).candidates
    assert (one.p99_ms, one.p99_high_ms) == (None, None)
    assert "662" in (one.p99_reason or "")


def test_what_ran_is_that_of_the_first_round_that_tells() -> None:
    found = Ran(provider="CPU", nodes=3, on_provider=2, partitions=2, precisions={"fp32": 3}, source="profile")
    rounds = tuple(
        type(one)(**{**_fields(one), "ran": found if one.round == 1 else None})
        for one in measurement("a", STEADY).rounds
    )
    cells = [measurement("a", STEADY, rounds=rounds), measurement("b", blocks(9.0))]
    assert [one.ran for one in ranking(RUN, cells, [artifact("sha-a"), artifact("sha-b")], []).candidates] == [
        found,
        None,
    ]


def test_operators_follow_the_candidates_and_those_of_others_are_left_out() -> None:
    def operators(job: str) -> Operators:
        return Operators(run="r1", job=job, source="profile", inferences=9, inference_ns=1, operators=())

    cells = [measurement("a", blocks(9.0)), measurement("b", blocks(1.0))]
    files = [artifact("sha-a"), artifact("sha-b")]
    found = ranking(RUN, cells, files, [], operators=[operators("a"), operators("failed"), operators("b")])
    assert [one.job for one in found.operators] == ["b", "a"]


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_an_order_that_does_not_exist_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        ranking(RUN, [], [], [], by="latensy")
    assert "latency" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("change", "word"), [({"run": "r2"}, "r2"), ({"device": "jetson"}, "jetson")], ids=["run", "device"]
)
def test_a_foreign_measurement_is_refused(change: dict[str, str], word: str) -> None:
    with pytest.raises(RecordError, match=word):
        ranking(RUN, [measurement("a", STEADY, **change)], [artifact("sha-a")], [])


def test_a_missing_artifact_is_an_error_and_never_a_guess_by_name() -> None:
    with pytest.raises(RecordError, match="missing") as caught:
        ranking(RUN, [measurement("a", STEADY)], [artifact("sha-b", model="model-a")], [])
    assert "model-a" in str(caught.value)


def test_the_same_cell_twice_is_refused() -> None:
    with pytest.raises(RecordError, match="twice"):
        ranking(RUN, [measurement("a", STEADY)] * 2, [artifact("sha-a")], [])


@pytest.mark.parametrize("empty", [[], [[]], [[0.0] * 3] * 5], ids=["no round", "no sample", "0 ns"])
def test_a_measurement_without_usable_samples_is_a_failure_and_no_candidate(empty: list[list[float]]) -> None:
    cells = [measurement("a", empty, reasons=("the link broke",)), measurement("b", STEADY)]
    found = ranking(RUN, cells, [artifact("sha-a"), artifact("sha-b")], [])
    assert [one.job for one in found.candidates] == ["b"]
    (failure,) = found.failures
    assert failure.stage == "profile"
    assert failure.identity.model == "model-a"
    assert failure.hint == "the link broke"


def test_failures_of_the_run_are_there_once() -> None:
    failure = Failure(
        stage="export", identity=Identity(model="m"), error="no", error_class="ExportError", transient=False
    )
    run = type(RUN)(**{**_fields(RUN), "failures": (failure,)})
    assert ranking(run, [], [], [failure]).failures == (failure,)
    assert ranking(run, [], [], []).failures == (failure,)


def test_an_empty_run_is_an_empty_ranking() -> None:
    found = ranking(RUN, [], [], [])
    assert (found.candidates, found.failures, found.facts) == ((), (), FACTS)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_ranking_does_not_depend_on_the_order_of_the_input(data: st.DataObject) -> None:
    scales = data.draw(st.lists(st.sampled_from([1.0, 1.001, 1.05, 2.0]), min_size=1, max_size=6))
    trust = data.draw(st.lists(st.booleans(), min_size=len(scales), max_size=len(scales)))
    by = data.draw(st.sampled_from(sorted(ORDERS)))
    cells: list[Measurement] = [
        measurement(str(index), blocks(scale, 0.002), trusted=ok, model="same")
        for index, (scale, ok) in enumerate(zip(scales, trust, strict=True))
    ]
    tops = data.draw(st.lists(st.none() | st.sampled_from([0.5, 0.9]), min_size=len(scales), max_size=len(scales)))
    assume(by != "top1" or tops != [None] * len(tops))
    files = [artifact(f"sha-{index}", top1) for index, top1 in enumerate(tops)]
    energies = [of_cell(str(index), [metered(n, 2 * scale) for n in range(3)]) for index, scale in enumerate(scales)]
    straight = ranking(RUN, cells, files, [], by=by, energies=energies)
    others = data.draw(st.permutations(cells)), data.draw(st.permutations(files))
    shuffled = ranking(RUN, *others, [], by=by, energies=energies[::-1])
    assert straight == shuffled
    n = len(cells)
    ranks = [one.rank for one in straight.candidates]
    assert ranks == sorted(ranks)
    for one in straight.candidates:
        assert 1 <= one.rank_low <= one.rank <= one.rank_high <= n
        if not one.trusted:
            assert (one.rank_low, one.rank_high) == (1, n)
