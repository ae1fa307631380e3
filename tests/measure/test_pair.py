"""Two measured in turn: through the real agent, in ABBA order, until there is a verdict; nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tiny_models
from simulated_rounds import CELL, FACTS, ROUND, changed, session

from edgeprof import pipeline
from edgeprof.errors import DeviceError, UsageError
from edgeprof.measure import pair_result
from edgeprof.pipeline import Subject
from edgeprof.progress import Silent
from edgeprof.records import Device, Method, Pair, PairResult, Round, Run
from edgeprof.store import Store

HERE = Device(name="localhost", transport="local", threads=(1,))
FAST = msgspec.structs.replace(tiny_models.QUICK, block_min=30)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("PYTHONPATH", str(tiny_models.stand_in(tmp_path)))
    made = Store(tmp_path / ".edgeprof")
    yield made
    made.close()


def file(folder: Path, name: str, does: str) -> str:
    path = folder / f"{name}.onnx"
    path.write_text(does)
    return str(path)


def compare(store: Store, first: str, second: str, limit_s: float = 60.0) -> PairResult:
    one, other = Subject(first, HERE), Subject(second, HERE)
    return pipeline.compare(store, one, other, zone=0.02, limit_s=limit_s, method=FAST, progress=Silent())


def test_a_slow_one_is_told_from_a_fast_one_in_the_fewest_pairs(store: Store, tmp_path: Path) -> None:
    fast, slow = file(tmp_path, "fast", "echo"), file(tmp_path, "slow", "busy 2")
    found = compare(store, slow, fast)
    assert (found.verdict, found.faster, found.rounds) == ("faster", "second", 7)
    assert found.ratio.low is not None
    assert found.ratio.low > 1.02
    assert found.seconds_more == 0
    (run,) = store.all(Run.KIND, Run)
    assert (run.pair, run.finished) == (found.pair, True)
    # ABBA: who goes first changes from pair to pair.
    order = [one.job[0] for one in sorted(store.all(Round.KIND, Round), key=lambda one: one.position)]
    assert "".join(order) == "abbaabbaabbaab"


def test_time_ends_a_comparison_that_cannot_be_settled_and_says_so(store: Store, tmp_path: Path) -> None:
    one = file(tmp_path, "one", "echo")
    found = compare(store, one, one, limit_s=0.0)
    assert found.verdict == "undecided"
    assert found.rounds == 1
    assert found.faster is None


def test_a_side_that_fails_ends_it_and_what_was_measured_is_kept(store: Store, tmp_path: Path) -> None:
    good, bad = file(tmp_path, "good", "echo"), file(tmp_path, "bad", "raise")
    with pytest.raises(DeviceError, match="kernel says no"):
        compare(store, good, bad)
    assert [one.job[0] for one in store.all(Round.KIND, Round)] == ["a"]
    assert all(one.finished for one in store.all(Run.KIND, Run))


def test_an_interrupted_comparison_is_taken_up(store: Store, tmp_path: Path) -> None:
    class Interrupting(Silent):
        done = 0.0

        def advance(self, stage: str, done: float = 1.0, detail: str = "") -> None:
            self.done += stage == "profile" and done
            if self.done >= 3:
                raise KeyboardInterrupt

    fast, slow = (Subject(file(tmp_path, name, does), HERE) for name, does in (("fast", "echo"), ("slow", "busy 2")))
    with pytest.raises(KeyboardInterrupt):
        pipeline.compare(store, slow, fast, zone=0.02, limit_s=60.0, method=FAST, progress=Interrupting())
    kept = len(store.all(Round.KIND, Round))
    assert kept == 3
    found = pipeline.compare(store, slow, fast, zone=0.02, limit_s=60.0, method=FAST, progress=Silent())
    assert (found.verdict, found.rounds) == ("faster", 7)
    assert len(store.all(Round.KIND, Round)) == 14
    # Finished, it is not taken up again.
    pipeline.compare(store, slow, fast, zone=0.02, limit_s=0.0, method=FAST, progress=Silent())
    assert len(store.all(Round.KIND, Round)) == 16


def test_a_comparison_is_no_ranking(store: Store, tmp_path: Path) -> None:
    """`edgeprof rank` after `edgeprof compare` must not show the two sides as the newest run."""
    one = file(tmp_path, "one", "echo")
    compare(store, one, one, limit_s=0.0)
    with pytest.raises(UsageError, match="no finished run"):
        pipeline.find_run(store)


def test_an_exported_file_may_be_named_by_its_sha(store: Store) -> None:
    artifact = tiny_models.stand_in_artifact(store, "echo")
    store.put("artifact", "x", artifact)
    found = compare(store, artifact.artifact_sha[:8], artifact.artifact_sha, limit_s=0.0)
    assert found.first.cell.artifact_sha == artifact.artifact_sha
    with pytest.raises(UsageError, match="no such file"):
        compare(store, "abcdef", artifact.artifact_sha)


def pair() -> Pair:
    one, other = (msgspec.structs.replace(CELL, job=name) for name in ("a", "b"))
    return Pair(
        pair="p",
        first=one,
        second=other,
        first_run="p",
        second_run="p",
        first_facts=FACTS,
        second_facts=FACTS,
        zone=0.02,
        method=Method(),
    )


def test_a_machine_that_swings_does_not_hide_the_ratio() -> None:
    """Both sides swing together by 30%; their ratio of 1.05 is found all the same."""
    generator = np.random.default_rng(3)
    swing = [1e6 * float(np.exp(0.3 * generator.standard_normal())) for _ in range(12)]
    sides = [[session(generator, 1, level_ns=level * factor)[0] for level in swing] for factor in (1.05, 1.0)]
    found = pair_result(pair(), (sides[0], sides[1]))
    assert (found.verdict, found.faster) == ("faster", "second")
    assert found.first.reasons == ()


def test_what_measuring_in_turn_does_not_cancel_is_said() -> None:
    generator = np.random.default_rng(4)
    good = session(generator, 7)
    bad = changed(session(generator, 7), output_diff=0.01)
    found = pair_result(pair(), (good, bad))
    assert (found.first.reasons, found.second.reasons) == ((), ("outputs differ",))


def test_the_time_that_more_would_take_is_that_of_more_pairs() -> None:
    levels = [1e6 * float(np.exp(share)) for share in (0.03, -0.03, 0.02, -0.02, 0.01, -0.01, 0.0)]
    swinging = [changed([ROUND], samples_ns=(int(level),) * 20)[0] for level in levels]
    sides = swinging, changed([ROUND] * 7, samples_ns=(1_000_000,) * 20)
    found = pair_result(pair(), (sides[0], sides[1]))
    assert found.verdict == "undecided"
    assert found.seconds_more is not None
    pairs = found.seconds_more / 1.2  # a simulated process takes 0.6 s
    assert pairs == pytest.approx(round(pairs))
    assert pairs >= 1
