"""Energy where it was measured orders, scores and limits as the other quantities do; where not, it never passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from energy_records import metered
from rank_records import RUN, artifact, candidate, measurement, ranking_of

from edgeprof.errors import UsageError
from edgeprof.rank import choose, choose_for_all, evidence, parse_energy, ranking
from edgeprof.rank.evidence import Evidence
from edgeprof.records import Candidate, Energy, Limits, Ranking
from edgeprof.stats.energy import of_cell

ASKED = msgspec.structs.replace(RUN, energy=True)
STEADY = [[1.0, 1.01, 1.02]] * 9


def spent(job: str, watts: float, spread: float = 0.01, rounds: int = 5, seed: int = 0) -> Energy:
    """Of rounds whose power differs by a share; 9.8 mJ for each watt."""
    some = watts * np.exp(spread * np.random.default_rng(seed).standard_normal(rounds))
    return of_cell(job, [metered(number, busy_w, idle_w=watts / 10) for number, busy_w in enumerate(some)])


def ranked(energies: Sequence[Energy], by: str = "energy", jobs: str = "abc") -> Ranking:
    cells = [measurement(job, STEADY) for job in jobs]
    files = [artifact(f"sha-{job}", top1) for job, top1 in zip(jobs, (0.9, 0.95, 0.99), strict=True)]
    return ranking(ASKED, cells, files, [], by=by, energies=energies)


def test_the_least_energy_comes_first_and_what_cannot_be_told_apart_shares_a_place() -> None:
    found = ranked([spent("a", 5.0, 0.05), spent("b", 5.05, 0.05, seed=1), spent("c", 1.0)])
    assert found.candidates[0].job == "c"
    assert [one.rank for one in found.candidates] == [1, 2, 2]
    assert (found.candidates[1].rank_low, found.candidates[1].rank_high) == (2, 3)
    one = found.candidates[0]
    assert one.energy_mj == pytest.approx(9.8, rel=0.02)
    assert one.energy_above_idle_mj == pytest.approx(0.9 * 9.8, rel=0.02)
    assert one.energy_reason is None
    assert {each.job for each in found.energy} == set("abc")


def test_what_has_no_energy_comes_last_and_says_why() -> None:
    found = ranked([spent("a", 5.0), of_cell("b", [], "the sensor hid"), spent("c", 1.0)])
    assert [one.job for one in found.candidates] == ["c", "a", "b"]
    assert found.candidates[2].energy_reason == "the sensor hid"


@pytest.mark.parametrize("by", ["energy", "energy=1,latency=2"])
def test_without_any_energy_ranking_by_it_is_refused_and_says_why(by: str) -> None:
    why = "no power sensor was found; looked for: INA3221"
    with pytest.raises(UsageError, match="cannot rank by .*: no candidate of this run has an energy: " + why) as raised:
        ranked([of_cell(job, [], why) for job in "abc"], by)
    assert "edgeprof run --energy" in (raised.value.hint or "")


@pytest.mark.parametrize("reason", ["no power sensor was found; looked for: INA3221", "energy was not asked for"])
def test_where_the_device_has_no_sensor_the_hint_is_not_to_ask_again(reason: str) -> None:
    assert RUN.facts is not None
    facts = msgspec.structs.replace(RUN.facts, power=None, power_missing="no power sensor was found")
    run = msgspec.structs.replace(ASKED, facts=facts)
    cells = [msgspec.structs.replace(measurement("a", STEADY), facts=facts)]
    energies = [of_cell("a", [], reason)]
    files = [artifact("sha-a", 0.9)]
    with pytest.raises(UsageError, match=reason) as raised:
        ranking(run, cells, files, [], by="energy", energies=energies)
    assert "no power sensor that can be read" in (raised.value.hint or "")
    with pytest.raises(UsageError, match=reason) as raised:
        choose(ranking(run, cells, files, [], energies=energies), Limits(budget_ms=9.0, max_energy_mj=5.0))
    assert "edgeprof run --energy" not in (raised.value.hint or "")


def test_a_score_weighs_it() -> None:
    """`b` is as fast and takes half the energy of `a`; accuracy of `c` outweighs neither."""
    energies = [spent("a", 5.0), spent("b", 2.5), spent("c", 10.0)]
    found = ranked(energies, "energy=1,top1=1")
    assert [one.job for one in found.candidates] == ["b", "a", "c"]


def whole(job: str, **changes: Any) -> Candidate:
    known = {"energy_mj": 10.0, "energy_low_mj": 9.5, "energy_high_mj": 10.5, "energy_rounds": 5}
    return candidate(job, **{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "its energy up to 10.5 mJ an inference is over 10.2 mJ"),
        ({"energy_high_mj": 10.200001}, "up to 10.200001 mJ an inference is over 10.2 mJ"),
        ({"energy_high_mj": None, "energy_rounds": 2}, "its energy has no upper bound: 2 rounds say too little"),
        ({"energy_mj": 11.0, "energy_high_mj": None}, "its energy of 11.0 mJ is over 10.2 mJ"),
        ({"energy_mj": None, "energy_reason": "too few readings"}, "energy not measured: too few readings"),
        ({"energy_mj": None}, "energy not measured: not asked for"),
    ],
)
def test_the_limit_holds_at_the_upper_end_and_names_itself(changes: dict[str, Any], words: str) -> None:
    ranking = ranking_of(whole("a", top1=0.99, **changes), whole("b", energy_high_mj=10.1))
    found = choose(ranking, Limits(max_energy_mj=10.2))
    assert found.chosen is not None
    assert found.chosen.job == "b"
    assert "that takes at most 10.2 mJ an inference" in found.reason
    assert found.rejected[0].limits == ("energy",)
    assert words in found.rejected[0].reason


def test_a_limit_on_what_nobody_measured_does_not_pass_silently() -> None:
    ranking = ranking_of(candidate("a", energy_reason="energy was not asked for: run with --energy"))
    with pytest.raises(UsageError, match="no candidate of this run has an energy: energy was not asked for") as raised:
        choose(ranking, Limits(max_energy_mj=50))
    assert raised.value.where == f"run {ranking.run} on {ranking.device}"
    assert choose(ranking_of(), Limits(max_energy_mj=50)).chosen is None  # nothing at all was measured


def test_the_odds_say_how_probable_it_is_that_the_limit_is_met() -> None:
    cells = [measurement(job, STEADY) for job in "ab"]
    files = [artifact("sha-a", 0.9), artifact("sha-b", 0.99)]
    found = ranking(ASKED, cells, files, [], energies=[spent("a", 1.0, 0.001), spent("b", 2.0, 0.05)])
    edge = next(one for one in found.candidates if one.job == "b").energy_high_mj
    assert edge is not None
    choice = choose(found, Limits(max_energy_mj=edge), known=evidence(cells, {}))
    assert choice.chosen is not None
    assert choice.chosen.job == "b"
    assert choice.chosen_odds is not None
    assert choice.chosen_odds.max_energy == pytest.approx(0.975)
    assert choice.chosen_odds.best == pytest.approx(0.975, abs=0.02)
    without = choose(found, Limits(min_top1=0.5), known=evidence(cells, {}))
    assert without.chosen_odds is not None
    assert without.chosen_odds.max_energy is None


def test_more_rounds_of_latency_are_no_cure_for_too_much_energy() -> None:
    found = choose(ranking_of(whole("a")), Limits(max_energy_mj=10.2, budget_ms=5), known=Evidence(rounds={}, right={}))
    assert found.undecided is None
    assert "keeps to all limits" in found.reason


def test_on_several_devices_the_limit_holds_on_each() -> None:
    def on(device: str, *some: Candidate) -> Ranking:
        return msgspec.structs.replace(ranking_of(*some), device=device, run=f"run-{device}")

    limits = Limits(max_energy_mj=11.0)
    pi = on("pi", whole("a", model="m", energy_high_mj=10.5), whole("b", model="n", top1=0.8, energy_high_mj=10.0))
    nano = on("nano", whole("c", model="m", energy_high_mj=12.0), whole("d", model="n", top1=0.8, energy_high_mj=9.0))
    found = choose_for_all([(one, choose(one, limits)) for one in (pi, nano)], limits)
    assert [one.candidate.model for one in found.chosen] == ["n", "n"]
    assert "on nano with 1 thread its energy up to 12.0 mJ" in found.misses[0]


@pytest.mark.parametrize(
    ("text", "mj"), [("50mJ", 50), ("0.2 J", 200), ("800uJ", 0.8), ("800µJ", 0.8), ("1e2mJ", 100), (" 5 mJ ", 5)]
)
def test_energies_as_people_write_them(text: str, mj: float) -> None:
    assert parse_energy(text) == pytest.approx(mj)


@pytest.mark.parametrize("text", ["50", "mJ", "5W", "50MJ", "-1mJ", "0mJ", "nanJ", "infJ", "5 mj", "fifty mJ", ""])
def test_what_is_no_energy_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="most energy") as raised:
        parse_energy(text)
    assert "50mJ" in (raised.value.hint or "")


@pytest.mark.parametrize("most", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_means_nothing_is_refused(most: float) -> None:
    with pytest.raises(UsageError, match="must be finite and more than zero"):
        choose(ranking_of(whole("a")), Limits(max_energy_mj=most))
