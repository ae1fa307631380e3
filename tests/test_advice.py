"""What to do about a reason fits how it was measured: a quick run is not told to ask for more and call it less."""

from __future__ import annotations

import re

import pytest

from edgeprof.pipeline.ask import method_of
from edgeprof.records import ADVICE, Method
from edgeprof.records.advice import advice, advice_of_all

WIDE = "interval wide"


def test_the_usual_method_has_the_usual_advice() -> None:
    assert advice(Method()) == ADVICE


@pytest.mark.parametrize("precision", [0.001, 0.005, 0.01, 0.04, 0.05, 0.08, 0.1, 0.5])
@pytest.mark.parametrize("cell_s", [1.0, 5.0, 60.0, 600.0])
def test_less_is_less_than_what_was_asked_and_more_time_is_more(precision: float, cell_s: float) -> None:
    said = advice(method_of(precision=precision, cell_s=cell_s))[WIDE]
    found = re.search(r"--precision (\d+)%", said)
    assert (found is None) == (precision >= 0.1)
    assert found is None or int(found[1]) / 100 > precision
    time = re.search(r"--cell-time (\d+)s", said)
    assert time is not None
    assert int(time[1]) > cell_s


def test_a_quick_run_is_to_be_measured_without_quick() -> None:
    found = advice(method_of(quick=True))
    assert found[WIDE].endswith("close other programs, fix the clock, or measure without --quick")
    assert "without --quick" in found["too few samples"]
    assert {one: said for one, said in found.items() if said != ADVICE[one]}.keys() == {WIDE, "too few samples"}
    assert tuple(found) == tuple(ADVICE)


def test_a_fixed_number_of_rounds_is_what_stands_in_the_way() -> None:
    assert "without --rounds" in advice(method_of(rounds=9))[WIDE]


def test_with_several_runs_nothing_is_advised_that_one_of_them_had() -> None:
    quick, coarse = method_of(quick=True), method_of(precision=0.05)
    assert advice_of_all([Method(), coarse]) == advice(coarse)
    assert advice_of_all([quick, coarse]) == advice(quick)
    assert advice_of_all([]) == ADVICE
