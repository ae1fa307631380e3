"""One file for several devices: it must keep to the limits on each of them."""

from __future__ import annotations

import msgspec
from rank_records import candidate, ranking_of

from edgeprof.rank import choose, choose_for_all
from edgeprof.records import Candidate, FleetChoice, Limits, Ranking


def on(device: str, *candidates: Candidate) -> Ranking:
    return msgspec.structs.replace(ranking_of(*candidates), device=device, run=f"run-{device}")


def of(limits: Limits, *rankings: Ranking) -> FleetChoice:
    return choose_for_all([(one, choose(one, limits)) for one in rankings], limits)


def test_the_choice_meets_the_budget_everywhere_though_it_is_best_nowhere() -> None:
    pi = on(
        "pi",
        candidate("a", model="big", top1=0.99, p90_high_ms=9.0),
        candidate("b", model="mid", top1=0.95, p90_high_ms=4.0),
        candidate("c", model="small", top1=0.9, p90_high_ms=2.0),
    )
    jetson = on(
        "jetson",
        candidate("x", model="big", top1=0.99, p90_high_ms=1.0),
        candidate("y", model="mid", top1=0.95, p90_high_ms=0.9, threads=4),
        candidate("z", model="small", top1=0.9, p90_high_ms=0.5),
    )
    found = of(Limits(budget_ms=5.0), pi, jetson)
    assert [(one.device, one.candidate.model, one.candidate.threads) for one in found.chosen] == [
        ("pi", "mid", 1),
        ("jetson", "mid", 4),
    ]
    assert [one.candidate.model for one in found.runner_up] == ["small", "small"]
    assert [one.chosen.model for one in found.each if one.chosen] == ["mid", "big"]
    assert "big" in found.misses[0]
    assert "on pi with 1 thread p90 up to 9.00 ms is over 5 ms" in found.misses[0]
    assert "both devices" in found.reason


def test_a_file_that_was_not_measured_on_one_device_is_not_chosen_for_all() -> None:
    found = of(Limits(budget_ms=5.0), on("pi", candidate("a", model="only")), on("jetson"))
    assert found.chosen == ()
    assert "not measured on jetson" in found.reason


def test_of_several_thread_counts_the_one_that_keeps_to_the_limits_counts() -> None:
    slow, quick = candidate("a", model="m", p90_high_ms=9.0), candidate("b", model="m", p90_high_ms=2.0, threads=4)
    found = of(Limits(budget_ms=5.0), on("pi", slow, quick), on("nano", candidate("c", model="m")))
    assert [one.candidate.job for one in found.chosen] == ["b", "c"]


def test_for_throughput_the_slowest_device_decides() -> None:
    limits = Limits(maximize="throughput")
    one = on("pi", candidate("a", model="m", median_ms=1.0), candidate("b", model="n", median_ms=4.0))
    other = on("nano", candidate("c", model="m", median_ms=9.0), candidate("d", model="n", median_ms=5.0))
    assert [each.candidate.model for each in of(limits, one, other).chosen] == ["n", "n"]


def test_what_only_trust_keeps_out_is_named_by_the_rule_of_the_choice() -> None:
    """The most accurate of the files that trust alone keeps out, whatever the number of devices where it does."""
    pi = on(
        "pi",
        candidate("a", model="big", top1=0.95, trusted=False, reasons=("trend",)),
        candidate("b", model="small", top1=0.9),
        candidate("c", model="slow", top1=0.99, p90_high_ms=9.0),
    )
    nano = on(
        "nano",
        candidate("d", model="big", top1=0.95, trusted=False, reasons=("other load",)),
        candidate("e", model="small", top1=0.9, trusted=False, reasons=("other load",)),
        candidate("f", model="slow", top1=0.99),
    )
    found = of(Limits(budget_ms=5.0), pi, nano)
    assert found.chosen == ()
    assert "; 2 would, but cannot be trusted. Would be chosen if it could be trusted: big " in found.reason
    assert "on pi with 1 thread not trusted: trend; on nano with 1 thread not trusted: other load" in found.reason
    assert found.reason.endswith(" --fresh --device pi --device nano")
    assert [miss.split()[0] for miss in found.misses] == ["big", "small", "slow"]
    alone = of(Limits(budget_ms=5.0), on("pi", *pi.candidates[1:]), on("nano", *nano.candidates[1:]))
    assert alone.reason.endswith(" --fresh --device nano")


def test_nothing_measured_anywhere_is_told() -> None:
    assert of(Limits(budget_ms=5.0), on("pi"), on("nano")).reason == "Nothing was measured on any of the devices."
