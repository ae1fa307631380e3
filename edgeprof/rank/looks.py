"""Looking again and again, as `choose --measure-more` does: bounds that hold at all looks together. Pure.

An interval of 95% that is looked at after every round misses somewhere far more often than once in twenty. That of the
median is made for it (`stats.sequence`); those of p90 and p99 are not, so while looking they are held at the level at
which a random walk leaves its bounds nowhere between 5 and 60 rounds with 95% (`tests/rank/test_looks.py` walks).
"""

from __future__ import annotations

import msgspec
import numpy as np

from edgeprof.rank.evidence import Evidence
from edgeprof.records import Candidate, Ranking
from edgeprof.stats import tails

MANY_LOOKS = 0.996
DOUBT = (1 - MANY_LOOKS) / 2
"""One side of it, as `undecided.DOUBT` is of a single look."""
NS_PER_MS = 1e6


def looked_at(ranking: Ranking, known: Evidence) -> Ranking:
    """The ranking with bounds of p90 and p99 that hold at all looks; what has no rounds stays as it is."""
    candidates = tuple(_wider(one, known) for one in ranking.candidates)
    return msgspec.structs.replace(ranking, candidates=candidates)


def _wider(one: Candidate, known: Evidence) -> Candidate:
    rounds = known.rounds.get(one.job, ())
    if not rounds:
        return one
    blocks = [np.asarray(each.samples_ns, dtype=np.float64) / NS_PER_MS for each in rounds]
    p90 = tails.pooled_quantile(blocks, 0.9, MANY_LOOKS)
    high = tails.p99(blocks, 1 - DOUBT).high
    return msgspec.structs.replace(one, p90_low_ms=p90.low, p90_high_ms=p90.high, p99_high_ms=high)
