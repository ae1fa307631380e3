"""What a gate says of a run: each limit alone, whatever is missing, and that chance has its share only once."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from gate_records import baseline, candidate, failure, numbers, quiet, right

from edgeprof.errors import RecordError, UsageError
from edgeprof.rank import gate as gates
from edgeprof.rank.gate_limit import check_rounds, packed, unpacked
from edgeprof.records import Interval
from edgeprof.records.gate import Baseline, BaselineCandidate, GateCalibration, GateLimits, Judgement, LatencyLimit

CALIBRATED = GateCalibration(
    made_at="2026-01-02T03:04:05Z",
    sessions=7,
    pairs=54,
    between_sd=0.001,
    between_df=6,
    pair_sd=0.002,
    limit=0.05,
    gates=1000,
    false_failures=0,
    false_alarm_high=0.004,
    undecided=0,
    power=(),
    smallest_change=0.05,
)
ALL = GateLimits(
    latency=(LatencyLimit(percentile=50, share=0.05), LatencyLimit(percentile=99, share=0.1)),
    asked=("p50", "p99", "top1", "size", "memory"),
)
DEFAULT = GateLimits()
P90 = Interval(value=1.1, low=1.0, high=1.2)


def now(**fields: Any) -> BaselineCandidate:
    """The candidate of another file, measured at another time."""
    return candidate(**{"sha": "new", "rounds": numbers(quiet(seed=1)), **fields})


def judged(
    current: BaselineCandidate | None = None, old: Baseline | None = None, limits: GateLimits = DEFAULT, **how: Any
) -> dict[str, Judgement]:
    """Judgements by limit, of a calibrated baseline with one candidate."""
    before = old or baseline(calibration=CALIBRATED)
    found = gates.judge(before, baseline(*([now()] if current is None else [current])), limits, **how)
    return {one.limit: one for one in found.judgements}


def again(factor: float, spread: float = 0.002, pairs: int = 60, **fields: Any) -> dict[gates.Key, gates.Again]:
    """Pairs of rounds in turn, the second slower by the factor; both share a mood that moves by 20%."""
    mood = np.exp(0.2 * np.random.default_rng(5).standard_normal(pairs))
    before, after = (numbers(mood * quiet(pairs, spread=spread, seed=seed)) for seed in (2, 3))
    after = numbers(factor * np.array(after.p50_ns))
    made: dict[str, Any] = {"now": after, "before": before, "p90_ms": P90}
    return {gates.key(candidate()): gates.Again(**{**made, **fields})}


def test_what_did_not_change_passes_on_a_quiet_calibrated_device_without_measuring_again() -> None:
    found = gates.judge(baseline(calibration=CALIBRATED), baseline(now()), GateLimits())
    assert {one.limit: one.verdict for one in found.judgements} == dict.fromkeys(
        ("p50", "top1", "size", "memory"), "pass"
    )
    assert found.open == ()
    assert gates.verdict_of(found.judgements) == "pass"


def test_without_a_calibration_what_looks_the_same_is_measured_again_all_the_same() -> None:
    """A device that is faster today may hide what became slower."""
    fast = gates.judge(baseline(), baseline(now(rounds=numbers(0.6 * quiet(seed=1)))), GateLimits())
    assert len(fast.open) == 1
    assert any("not calibrated" in note for note in fast.notes)


def test_a_slow_down_that_the_device_shares_is_none_and_one_that_it_does_not_is_one() -> None:
    slow_day = now(rounds=numbers(1.3 * quiet(seed=1)))
    assert judged(slow_day)["p50"].open, "it is suspected"
    told = judged(slow_day, again=again(1.0))["p50"]
    assert (told.verdict, told.how) == ("pass", "in turn")
    told = judged(slow_day, again=again(1.05))["p50"]
    assert (told.verdict, told.how, told.open) == ("fail", "in turn", False)
    assert told.change is not None
    assert told.change.value == pytest.approx(0.05, abs=0.005)
    assert told.baseline is not None
    assert told.current == pytest.approx(1.05 * told.baseline, rel=0.02), "both of the rounds in turn"


def test_the_baselines_own_file_passes_whatever_the_device_does_unless_facts_were_allowed_to_differ() -> None:
    same = now(sha="old", rounds=numbers(1.4 * quiet(seed=1)), reasons=("other load",), trusted=False)
    told = judged(same)["p50"]
    assert (told.verdict, told.how) == ("pass", "exact")
    assert "40% slower" in told.reason
    told = judged(same, facts=gates.Facts(allowed=("kernel: 6.1 then, 6.2 now",)))["p50"]
    assert told.verdict == "cannot tell"


@pytest.mark.parametrize(
    ("before", "after", "count"), [(False, True, 1), (True, False, 1), (False, False, 1), (True, True, 0)]
)
def test_a_pass_on_numbers_that_are_not_trusted_says_so_in_its_verdict(before: bool, after: bool, count: int) -> None:
    reasons = {True: (), False: ("other load",)}
    old = baseline(candidate(trusted=before, reasons=reasons[before]), calibration=CALIBRATED)
    found = gates.judge(old, baseline(candidate(trusted=after, reasons=reasons[after])), DEFAULT)
    told = gates.result(found, old, DEFAULT, file="b.json", run="r2")
    assert (told.verdict, found.untrusted) == ("pass", count)
    assert told.reason == "nothing got worse: 4 limits held" + (
        "; latency of 1 candidate was not trusted" if count else ""
    )


def test_what_was_measured_in_turn_has_its_own_trust() -> None:
    doubtful = now(trusted=False, reasons=("other load",))
    found = gates.judge(baseline(calibration=CALIBRATED), baseline(doubtful), DEFAULT, again=again(1.0))
    assert (gates.verdict_of(found.judgements), found.untrusted) == ("pass", 0)
    no_latency = msgspec.structs.replace(DEFAULT, latency=())
    assert gates.judge(baseline(calibration=CALIBRATED), baseline(doubtful), no_latency).untrusted == 0


def test_facts_that_differ_leave_the_latency_open_and_name_themselves_and_exact_limits_are_judged_all_the_same() -> (
    None
):
    differ = gates.Facts(differences=("kernel: 6.1 then, 6.2 now",))
    told = judged(now(size_bytes=1_100_000), facts=differ)
    assert told["p50"].verdict == "cannot tell"
    assert "kernel: 6.1 then, 6.2 now" in told["p50"].reason
    assert told["memory"].verdict == "cannot tell"
    assert told["size"].verdict == "fail"
    assert not told["p50"].open, "measuring again changes no kernel"


@pytest.mark.parametrize(("bytes_now", "verdict"), [(1_020_000, "pass"), (1_020_001, "fail"), (10, "pass")])
def test_size_is_exact(bytes_now: int, verdict: str) -> None:
    assert judged(now(size_bytes=bytes_now))["size"].verdict == verdict


@pytest.mark.parametrize(
    ("lost", "verdict"),
    [
        ((), "pass"),
        ((60, 61), "pass"),  # 0.44 points
        ((60, 61, 62), "cannot tell"),  # 0.67 points, and 3 of 450 images may be chance
        (range(60, 90), "fail"),
    ],
)
def test_top1_is_compared_on_the_same_images(lost: Any, verdict: str) -> None:
    told = judged(now(top1=right(lost)))["top1"]
    assert told.verdict == verdict
    assert f"{len(list(lost))} of 450 images lost" in told.reason


def test_top1_of_other_test_images_is_not_comparable_and_without_kept_predictions_it_is_compared_apart() -> None:
    other = msgspec.structs.replace(right(), labels_sha="others")
    assert judged(now(top1=other))["top1"].verdict == "cannot tell"
    bare = msgspec.structs.replace(right(range(60, 200)), labels_sha=None, right=None)
    told = judged(now(top1=bare))["top1"]
    assert told.verdict == "fail"
    few = msgspec.structs.replace(right((60, 61, 62)), labels_sha=None, right=None)
    assert judged(now(top1=few))["top1"].verdict == "cannot tell"


def test_a_ready_file_has_no_accuracy_which_is_told_only_where_somebody_asked_for_it() -> None:
    old = baseline(candidate(top1=None), calibration=CALIBRATED)
    assert "top1" not in judged(now(top1=None), old)
    told = judged(now(top1=None), old, ALL)["top1"]
    assert (told.verdict, "ready file" in told.reason) == ("cannot tell", True)
    assert judged(now(top1=None))["top1"].verdict == "cannot tell", "the baseline knew it"


def test_memory_that_is_not_measured_does_not_pass_in_silence() -> None:
    unknown = numbers(quiet(seed=1), peak=None)
    assert judged(now(rounds=unknown))["memory"].verdict == "cannot tell"
    old = baseline(candidate(rounds=numbers(quiet(), peak=None)), calibration=CALIBRATED)
    assert "memory" not in judged(now(rounds=unknown), old)
    assert judged(now(rounds=unknown), old, ALL)["memory"].verdict == "cannot tell"


@pytest.mark.parametrize(("peak", "verdict"), [(50_000_000, "pass"), (51_000_000, "pass"), (56_000_000, "fail")])
def test_memory(peak: int, verdict: str) -> None:
    assert judged(now(rounds=numbers(quiet(seed=1), peak=peak)))["memory"].verdict == verdict


def test_p99_of_too_few_samples_is_not_judged() -> None:
    few = judged(now(rounds=numbers(quiet(seed=1), samples=99)), limits=ALL)["p99"]
    assert few.verdict == "cannot tell"
    assert "99 samples, it takes 100" in few.reason
    assert judged(limits=ALL)["p99"].verdict == "pass"


def test_a_reason_that_lasts_and_is_new_leaves_it_open_and_one_that_the_baseline_has_too_does_not() -> None:
    fell_back = now(trusted=False, reasons=("provider fell back",))
    assert judged(fell_back)["p50"].verdict == "cannot tell"
    old = baseline(candidate(reasons=("provider fell back",)), calibration=CALIBRATED)
    assert judged(fell_back, old)["p50"].verdict == "pass"


def test_what_was_not_to_be_trusted_is_measured_again_and_then_counts_by_what_is_said_there() -> None:
    noisy = now(trusted=False, reasons=("other load",))
    assert judged(noisy)["p50"].open
    assert judged(noisy, again=again(1.0))["p50"].verdict == "pass"
    told = judged(noisy, again=again(1.0, reasons=("throttled",)))["p50"]
    assert (told.verdict, "throttled" in told.reason) == ("cannot tell", True)


def test_measured_again_alone_it_fails_only_where_the_device_could_not_have_done_it() -> None:
    slow = now(rounds=numbers(1.2 * quiet(seed=1)))
    alone = again(1.2, before=None, now=numbers(1.2 * quiet(15, seed=3)))
    assert judged(slow, again=alone)["p50"].verdict == "fail"
    assert judged(slow, baseline(), again=alone)["p50"].verdict == "cannot tell", "not calibrated: it may be the day"
    huge = again(2.0, before=None, now=numbers(2.0 * quiet(15, seed=3)))
    assert judged(now(rounds=numbers(2 * quiet(seed=1))), baseline(), again=huge)["p50"].verdict == "fail"


def test_what_cannot_be_measured_again_is_the_devices_fault() -> None:
    told = judged(again=again(1.0, failed="it hung"))["p50"]
    assert (told.verdict, told.open) == ("infrastructure", False)


@pytest.mark.parametrize(
    ("low", "high", "old_high", "verdict"),
    [
        (1.0, 1.2, 1.2, "pass"),
        (2.1, 2.3, 1.2, "fail"),
        (1.9, 2.1, 1.2, "cannot tell"),
        (2.1, 2.3, 2.2, "pass"),
    ],
)
def test_the_budget_is_held_by_the_upper_end_and_fails_whom_it_did_not_fail_before(
    low: float, high: float, old_high: float, verdict: str
) -> None:
    limits = GateLimits(budget_ms=2.0, asked=("budget",))
    old = baseline(candidate(p90_ms=Interval(value=1.1, low=1.0, high=old_high)), calibration=CALIBRATED)
    mine = now(p90_ms=Interval(value=(low + high) / 2, low=low, high=high))
    found = gates.judge(old, baseline(mine), limits).judgements
    told = {one.candidate: one for one in found if one.limit == "budget"}
    assert told[mine.label].verdict == verdict
    if low > 2:  # nothing is left to ship
        assert told[gates.ALL].verdict == "fail"


@pytest.mark.parametrize(
    ("fields", "verdict", "code"),
    [
        ({}, "infrastructure", 5),
        ({"stage": "connect"}, "infrastructure", 5),
        ({"stage": "profile", "error_class": "missing_runtime", "transient": False}, "infrastructure", 5),
        ({"stage": "profile", "error_class": "crash", "transient": False}, "fail", 1),
        ({"stage": "export", "error_class": "ExportError", "transient": False}, "fail", 1),
        ({"stage": "export", "error_class": "MissingPackageError", "transient": False}, "infrastructure", 5),
    ],
)
def test_a_candidate_that_failed_is_told_by_whose_fault_it_is(fields: Any, verdict: str, code: int) -> None:
    found = gates.judge(baseline(), baseline(candidates=()), GateLimits(), failures=[failure(**fields)])
    answer = gates.result(found, baseline(), GateLimits(), file="b.json", run="r2")
    assert (answer.verdict, answer.exit_code) == (verdict, code)
    assert "the agent was lost" in answer.reason


def test_a_device_that_was_not_reached_failed_for_all_its_candidates() -> None:
    two = baseline(candidate("one"), candidate("two"))
    all_models = failure("all models", stage="connect")
    identity = msgspec.structs.replace(
        all_models.identity, exporter=None, training=None, init=None, seed=None, threads=None
    )
    found = gates.judge(
        two, baseline(candidates=()), GateLimits(), failures=[msgspec.structs.replace(all_models, identity=identity)]
    )
    assert [one.verdict for one in found.judgements] == ["infrastructure", "infrastructure"]


def test_one_that_is_gone_cannot_be_told_and_one_that_is_new_is_named() -> None:
    two = baseline(candidate("one"), candidate("two"), calibration=CALIBRATED)
    found = gates.judge(two, baseline(candidate("one"), candidate("three")), GateLimits())
    gone = [one for one in found.judgements if one.limit == "there"]
    assert [(one.candidate, one.verdict) for one in gone] == [(candidate("two").label, "cannot tell")]
    assert any("three" in note for note in found.notes)


def test_a_run_of_something_else_is_no_run_to_judge() -> None:
    with pytest.raises(UsageError, match="none of the baseline's candidates"):
        gates.judge(baseline(), baseline(candidate("other")), GateLimits())


def test_a_regression_counts_before_the_device_and_that_before_what_cannot_be_told() -> None:
    one = judged()["size"]
    verdicts = ["pass", "cannot tell", "infrastructure", "fail"]
    some = [msgspec.structs.replace(one, verdict=verdict) for verdict in verdicts]
    assert [gates.verdict_of(some[: number + 1]) for number in range(4)] == verdicts
    assert gates.verdict_of([]) == "cannot tell", "a gate that judged nothing did not pass"


def test_chance_has_its_share_once_for_the_whole_gate() -> None:
    """100 gates of nine candidates on a device that moves by 20% between rounds, nothing changed: none fails."""
    names = [f"net{number}" for number in range(9)]
    old = baseline(*(candidate(name) for name in names))
    new = baseline(*(candidate(name, sha="new") for name in names))
    generator = np.random.default_rng(0)
    failed = 0
    for _ in range(100):
        turns = {}
        for one in old.candidates:
            before, after = (numbers(1e6 * np.exp(0.04 * generator.standard_t(3, 60))) for _ in range(2))
            turns[gates.key(one)] = gates.Again(now=after, before=before, p90_ms=P90)
        failed += any(one.verdict == "fail" for one in gates.judge(old, new, GateLimits(), again=turns).judgements)
    assert failed <= 1


def test_right_answers_are_kept_bit_by_bit_and_damage_is_told() -> None:
    answers = np.random.default_rng(0).random(451) < 0.7
    known = msgspec.structs.replace(right(), images=451, right=packed(answers))
    found = unpacked(known)
    assert found is not None
    assert found.tolist() == answers.tolist()
    for damaged in ("", "!!", packed(answers[:300])):
        with pytest.raises(RecordError):
            unpacked(msgspec.structs.replace(known, right=damaged))


@pytest.mark.parametrize(
    "fields",
    [
        {"samples": ()},
        {"p50_ns": (1,)},
        {"p50_ns": (0,) * 9},
        {"p50_ns": (2**62,) * 9, "p90_ns": (2**62,) * 9, "p99_ns": (2**62,) * 9},
        {"p50_ns": (2_000_000,) * 9},
        {"peak_rss_bytes": (-1,) * 9},
    ],
)
def test_rounds_that_cannot_be_are_found(fields: Any) -> None:
    assert check_rounds(msgspec.structs.replace(numbers(quiet()), **fields)) is not None
    assert check_rounds(numbers(quiet())) is None


def test_the_same_file_is_as_accurate_as_it_was_whatever_is_kept_of_its_answers() -> None:
    same = judged(candidate(rounds=numbers(quiet(seed=1))))["top1"]
    assert (same.verdict, same.change) == ("pass", None)
    assert "the same file" in same.reason


def test_another_suite_is_told_and_judged() -> None:
    facts = gates.Facts(told=("another suite: aaaa then, bbbb now",))
    found = gates.judge(baseline(calibration=CALIBRATED), baseline(now()), DEFAULT, facts)
    assert found.notes == facts.told
    assert gates.verdict_of(found.judgements) == "pass"
