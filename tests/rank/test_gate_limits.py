"""Limits of a gate as people write them; what means nothing is refused with an example."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeprof.errors import UsageError
from edgeprof.rank.gate_limits import parse_limits
from edgeprof.records.gate import GateLimits


def test_nothing_named_is_the_default_and_nobody_asked_for_it() -> None:
    assert parse_limits() == GateLimits()
    assert parse_limits().asked == ()


def test_all_named() -> None:
    found = parse_limits("p99:10%,p50:5%", "0.5pp", "2%", "10 %", "20ms")
    assert [(one.percentile, one.share) for one in found.latency] == [(50, 0.05), (99, 0.1)]
    assert (found.top1, found.size, found.memory, found.budget_ms) == (0.005, 0.02, 0.1, 20.0)
    assert found.asked == ("p50", "p99", "top1", "size", "memory", "budget")


def test_none_holds_nothing() -> None:
    found = parse_limits("none", "none", "none", "NONE", "none")
    assert (found.latency, found.top1, found.size, found.memory, found.budget_ms) == ((), None, None, None, None)
    assert found.asked == ()


@pytest.mark.parametrize("text", ["", "5%", "p50", "p50:5", "p75:5%", "p50:-1%", "p50:0%", "p50:5%,p50:6%", "p50:nan%"])
def test_a_latency_limit_that_means_nothing(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_limits(latency=text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "limits",
    [
        {"top1": "0.5"},
        {"top1": "0.5%"},
        {"top1": "-1pp"},
        {"top1": "200pp"},
        {"size": "2"},
        {"size": "0%"},
        {"memory": "10MB"},
        {"memory": "5000%"},
        {"budget": "20"},
        {"budget": "-5ms"},
        {"budget": "nanms"},
    ],
)
def test_another_that_means_nothing(limits: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_limits(**limits)
    assert caught.value.hint


@given(st.text(max_size=20), st.sampled_from(["latency", "top1", "size", "memory", "budget"]))
def test_any_text_is_a_limit_or_a_sentence(text: str, name: str) -> None:
    with contextlib.suppress(UsageError):
        parse_limits(**{name: text})
