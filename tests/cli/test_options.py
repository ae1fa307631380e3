"""Options mean what their help says; what means nothing is told with its cure, before anything is measured."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.api.asking import asked
from edgeprof.cli.options import bound, measuring, seconds, share
from edgeprof.errors import UsageError
from edgeprof.records import Method


def method(
    quick: bool = False, rounds: int | None = None, precision: str | None = None, cell_time: str | None = None
) -> Method:
    """What these options ask for."""
    return asked(**measuring(quick=quick, rounds=rounds, precision=precision, cell_time=cell_time)).method


@pytest.mark.parametrize(
    ("text", "value"), [("1%", 0.01), ("0.5%", 0.005), ("0.02", 0.02), (".05", 0.05), ("5 %", 0.05)]
)
def test_shares(text: str, value: float) -> None:
    assert share(text, "--precision") == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "0%", "100%", "1", "-1%", "one", "", "nan", "1e-2", "5%%", "1,5%"])
def test_a_precision_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--precision"):
        method(precision=text)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("0", (0,)), ("0,2", (0, 2)), ("2-4", (2, 3, 4)), ("0, 4-5", (0, 4, 5)), ("big", "big"), ("little", "little")],
)
def test_cores(text: str, cores: object) -> None:
    assert bound(text) == cores


@pytest.mark.parametrize("text", ["", ",", "a", "-1", "3-1", "1-", "1.5", "middle", "0-99999"])
def test_cores_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--cores"):
        bound(text)


@given(st.text(max_size=12))
def test_any_text_is_taken_or_refused_never_a_crash(text: str) -> None:
    for parse in (bound, lambda one: share(one, "--zone"), lambda one: seconds(one, "--time")):
        with contextlib.suppress(UsageError):
            parse(text)


def test_what_is_named_goes_before_what_quick_chooses() -> None:
    quick = method(quick=True)
    assert (quick.min_rounds, quick.max_rounds, quick.precision, quick.again) == (5, 5, 0.1, False)
    assert method(quick=True, rounds=3).max_rounds == 3
    assert method(quick=True, precision="2%").precision == pytest.approx(0.02)
    assert method(rounds=4) == method(rounds=4, quick=False)
    fixed = method(rounds=4)
    assert (fixed.min_rounds, fixed.max_rounds, fixed.again) == (4, 4, False)
    assert method(cell_time="2m").cell_s == 120
    with pytest.raises(UsageError, match="above 0"):
        method(cell_time="0")
