"""What `edgeprof choose` says for people where the odds and the choice seem to differ, or a percentile is missing."""

from __future__ import annotations

import msgspec
import pytest
from rank_records import candidate, ranking_of

from edgeprof.cli import choice_lines
from edgeprof.rank import choose
from edgeprof.rank.choice_words import turned
from edgeprof.records import Limits, Odds


def odds(best: float | None) -> Odds:
    return Odds(budget=None, min_top1=None, best=best)


def test_a_runner_up_that_is_the_more_probable_best_is_explained_and_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ranked = ranking_of(candidate("a", top1=0.91), candidate("b", top1=0.9))
    choice = choose(ranked, 100.0)
    for mine, other, told in ((0.3, 0.5, True), (0.5, 0.3, False), (None, 0.3, False), (0.4, 0.4, False)):
        asked = msgspec.structs.replace(choice, chosen_odds=odds(mine), runner_up_odds=odds(other))
        choice_lines.tell(asked)
        assert ("The choice goes by the measured top-1." in capsys.readouterr().out) is told
    assert "measured median" in turned(odds(0.1), odds(0.2), Limits(maximize="throughput"))
    assert turned(odds(0.1), None, Limits()) == ""


def test_the_nearest_miss_is_told_once_and_why_its_p90_stands_for_p99(capsys: pytest.CaptureFixture[str]) -> None:
    near = candidate("near", p90_ms=5.5, p90_high_ms=6.0, p99_ms=None, p99_high_ms=None, p99_reason="12 samples")
    far = candidate("far", p90_ms=50.0, p90_high_ms=60.0, p99_ms=None, p99_high_ms=None, p99_reason="12 samples")
    choice_lines.tell(choose(ranking_of(near, far), 5.0, percentile=99))
    said = " ".join(capsys.readouterr().out.split())
    assert "too few samples for p99, p90 5.5 ms (at most 6)" in said
    assert "p90 of 5.50 ms, which p99 is at least, is over 5 ms" in said
    table = said.partition("rejected")[2]
    assert said.count("model-near") == 1
    assert "model-near" not in table
    assert "model-far" in table
