"""Two runs candidate by candidate, and a model's history: who is matched, what is told of a change, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import rank_records

from edgeprof.rank import changes
from edgeprof.rank.changes import Answered, Held, Side
from edgeprof.rank.history import history
from edgeprof.records import Round
from edgeprof.records.compared import CandidateChange

STEADY = [[1.0, 1.01, 1.02, 1.0, 1.01]] * 5


def side(
    run: str = "r1", *, model: str = "m", sha: str = "s", slower: float = 1.0, spread: float = 0.001, **more: Any
) -> Side:
    """A candidate of five rounds."""
    drawn = np.random.default_rng([*f"{run} {model}".encode()]).normal(0, spread, 5)
    blocks = [[slower * float(np.exp(mood)) * ms for ms in block] for mood, block in zip(drawn, STEADY, strict=True)]
    answered = more.pop("answered", None)
    artifact = rank_records.artifact(sha, model=model, **more.pop("artifact", {}))
    one = rank_records.measurement("job-" + model, blocks, sha=sha, model=model, **more)
    rounds = tuple(msgspec.structs.replace(each, run=run) for each in one.rounds)
    return Side(msgspec.structs.replace(one, run=run, rounds=rounds), artifact, answered)


def held(*sides: Side, **run: Any) -> Held:
    name = sides[0].measurement.run
    return Held(msgspec.structs.replace(rank_records.RUN, **{"run": name, "finished": True, **run}), sides)


def only(one: Side, other: Side, others: Sequence[Held] = (), zone: float = 0.02) -> CandidateChange:
    (found,) = changes.compare(held(one), held(other), (), zone, others).changes
    return found


def test_a_slower_file_a_faster_one_and_the_same_one() -> None:
    for slower, verdict in ((1.1, "slower"), (0.9, "faster"), (1.0, "same"), (1.01, "same")):
        found = only(side("a"), side("b", slower=slower))
        assert found.verdict == verdict
        assert found.why is None
        low, high = found.median_ms.ratio.low, found.median_ms.ratio.high
        assert low is not None
        assert high is not None
        assert low <= slower <= high
        assert found.median_ms.runs == 0


def test_a_change_as_large_as_the_zone_or_lost_in_noise_cannot_be_told() -> None:
    for other in (side("b", slower=1.02), side("b", slower=1.05, spread=0.1)):
        found = only(side("a"), other)
        assert found.verdict == "cannot tell"
        assert "less and of more than 2%" in (found.why or "")


def test_what_is_not_trusted_in_one_run_tells_nothing_and_what_is_the_same_doubt_in_both_does() -> None:
    loaded: dict[str, Any] = {"trusted": False, "reasons": ("other load",)}
    found = only(side("a"), side("b", slower=1.5, **loaded))
    assert found.verdict == "cannot tell"
    assert "run b: other load" in (found.why or "")
    # A governor that is not fixed in both, or an interval that the change's own one holds, is no reason.
    free: dict[str, Any] = {"trusted": False, "reasons": ("governor not fixed", "interval wide")}
    assert only(side("a", **free), side("b", slower=1.5, **free)).verdict == "slower"
    assert only(side("a"), side("b", slower=1.5, **free)).verdict == "cannot tell"


def test_three_runs_of_the_same_file_widen_the_interval_by_how_far_they_spread() -> None:
    drifting = [held(side(f"old{number}", slower=level)) for number, level in enumerate((0.95, 1.04, 1.06, 0.97))]
    alone, known = only(side("a"), side("b", slower=1.08)), only(side("a"), side("b", slower=1.08), drifting)
    assert alone.verdict == "slower"
    assert known.verdict == "cannot tell"
    assert known.median_ms.runs == 5  # with the first run, without the second
    steady = [held(side(f"old{number}")) for number in range(4)]
    assert only(side("a"), side("b", slower=1.08), steady).verdict == "slower"


def test_other_files_other_settings_and_other_facts_tell_nothing_of_the_spread() -> None:
    strange = [
        held(side("x1", sha="another", slower=2.0)),
        held(side("x2", model="other", slower=3.0)),
        held(side("x3", slower=3.0), facts=msgspec.structs.replace(rank_records.FACTS, kernel="another kernel")),
    ]
    assert only(side("a"), side("b"), strange).median_ms.runs == 0


def test_candidates_are_matched_by_identity_and_what_only_one_has_is_named() -> None:
    one = held(side("a", model="kept"), side("a", model="gone"))
    other = held(side("b", model="new"), side("b", model="kept", sha="changed"))
    found = changes.compare(one, other, (), 0.02)
    assert [each.identity.model for each in found.changes] == ["kept"]
    assert not found.changes[0].same_file
    assert [each.model for each in found.only_one] == ["gone"]
    assert [each.model for each in found.only_other] == ["new"]


def test_files_of_one_name_are_matched_by_their_bytes_first() -> None:
    one = [side("a", sha="x"), side("a", sha="y")]
    other = [side("b", sha="y"), side("b", sha="z"), side("b", sha="w")]
    pairs, left, right = changes.match(one, other)
    assert [(a.artifact.artifact_sha, b.artifact.artifact_sha) for a, b in pairs] == [("x", "z"), ("y", "y")]
    assert left == []
    assert [each.artifact.artifact_sha for each in right] == ["w"]


def test_top1_is_paired_on_the_same_images_and_only_on_those() -> None:
    before = np.array([True] * 300 + [False] * 150)
    after = before.copy()
    after[:30] = False
    one = side("a", answered=Answered(before, "images"))
    worse = only(one, side("b", sha="t", answered=Answered(after, "images")))
    assert worse.top1_verdict == "worse"
    assert worse.top1 is not None
    assert worse.top1.only_second == 30
    assert only(one, side("b", sha="t", answered=Answered(after, "others"))).top1 is None
    assert only(one, side("b", answered=Answered(before, "images"))).top1_verdict is None  # the same file
    unsure = before.copy()
    unsure[0] = False
    assert only(one, side("b", sha="t", answered=Answered(unsure, "images"))).top1_verdict == "cannot tell"


def test_where_it_ran_otherwise_is_noted() -> None:
    other = side("b")
    rounds = tuple(msgspec.structs.replace(each, runs_on="GPU") for each in other.measurement.rounds)
    other = other._replace(measurement=msgspec.structs.replace(other.measurement, rounds=rounds))
    assert only(side("a"), other).notes == ("ran on CPU, then GPU",)


def canaried(one: Side, scale: float) -> Side:
    def slow(each: Round, number: int) -> Round:
        return msgspec.structs.replace(each, canary_ns=(int(1e6 * scale * (1 + number / 1000)), int(3e6 * scale)))

    rounds = tuple(slow(each, number) for number, each in enumerate(one.measurement.rounds))
    return one._replace(measurement=msgspec.structs.replace(one.measurement, rounds=rounds))


def test_the_canary_tells_what_the_device_itself_changed_by() -> None:
    found = changes.compare(held(canaried(side("a"), 1.0)), held(canaried(side("b"), 1.1)), (), 0.02).canary
    assert found is not None
    assert found.low is not None
    assert found.low < 1.1 < (found.high or 0)
    assert found.low > 1.05


# --- history


def past(*levels: float, facts: Mapping[int, Mapping[str, Any]] = {}) -> list[Held]:
    return [
        held(
            side(f"r{number}", slower=level),
            started_at=f"2026-01-0{number + 1}T00:00:00Z",
            facts=msgspec.structs.replace(rank_records.FACTS, **facts.get(number, {})),
        )
        for number, level in enumerate(levels)
    ]


def test_a_history_tells_each_run_and_its_change_against_the_one_before() -> None:
    (line,) = history("localhost", "m", past(1.0, 1.0, 1.1), 0.02).lines
    assert [one.verdict for one in line.runs] == [None, "same", "slower"]
    assert line.runs[0].change is None
    assert line.runs[2].change is not None
    assert line.runs[2].change.ratio.value > 1.08
    assert [one.run for one in line.runs] == ["r0", "r1", "r2"]


def test_where_facts_changed_it_is_marked_and_not_compared_and_goes_on_from_there() -> None:
    upgrade = {2: {"kernel": "7.0"}, 3: {"kernel": "7.0", "os": "Debian 13"}}
    (line,) = history("localhost", "m", past(1.0, 1.0, 0.8, 0.8, facts=upgrade), 0.02).lines
    assert [one.comparable for one in line.runs] == [True, True, False, True]
    assert [each.name for each in line.runs[2].differences] == ["kernel"]
    assert line.runs[2].change is None
    assert line.runs[2].verdict is None
    assert [each.name for each in line.runs[3].differences] == ["os"]
    assert line.runs[3].verdict == "same"


def test_other_models_are_left_out_and_each_setting_has_a_line() -> None:
    runs = [held(side(f"r{number}"), side(f"r{number}", model="other")) for number in range(2)]
    found = history("localhost", "m", runs, 0.02)
    assert [line.identity.model for line in found.lines] == ["m"]
    assert len(found.lines[0].runs) == 2
