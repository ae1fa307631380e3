"""The Markdown summary and the sentences in it."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_records import study

from edgeprof.records import Ranking
from edgeprof.report.findings import headline
from edgeprof.report.text import escape, summary

RANKING, _ = study()


def changed(ranking: Ranking, **fields: Any) -> Ranking:
    """The ranking with every candidate changed."""
    rows = tuple(msgspec.structs.replace(one, **fields) for one in ranking.candidates)
    return msgspec.structs.replace(ranking, candidates=rows)


def said(ranking: Ranking) -> str:
    return " ".join("".join(part.text for part in sentence) for sentence in headline(ranking))


def test_the_summary_says_what_matters() -> None:
    text = summary(RANKING)
    assert text.startswith("# edgeprof: raspberry-pi\n")
    assert text.count("\n| ") == 1 + len(RANKING.candidates)
    assert "4 threads (measured twice): interval wide; bimodal\n" in text
    assert all(f"*{reason}*: " in text for reason in ("interval wide", "bimodal"))
    assert "SIGSEGV" in text
    best = RANKING.candidates[0]
    assert best.model in text
    assert f"| {best.rank_low} to {best.rank_high} |" in text


@pytest.mark.parametrize(
    ("by", "column"), [("memory", "Memory MB"), ("latency=2,top1=1", "Score (latency=2,top1=1), × of the best")]
)
def test_what_it_is_ordered_by_has_a_column(by: str, column: str) -> None:
    text = summary(changed(msgspec.structs.replace(RANKING, by=by), score=1.25, peak_rss_bytes=98_000_000))
    assert f"| {column} |" in text
    assert text.count("| 98.0 |" if by == "memory" else "| 1.25 |") == len(RANKING.candidates)
    assert column not in summary(RANKING)


def test_the_headline_names_the_fastest_and_the_most_accurate_and_what_to_be_careful_with() -> None:
    text = said(RANKING)
    assert "The fastest candidate is mobilenetv3_small_100 · tflite-fp32 · 4 threads" in text
    assert "The most accurate is resnet18" in text
    assert "1 of 18 measurements is not to be trusted and 2 combinations failed" in text


def test_the_untrusted_is_never_called_the_fastest() -> None:
    rows = [msgspec.structs.replace(one, trusted=index > 0) for index, one in enumerate(RANKING.candidates)]
    text = said(msgspec.structs.replace(RANKING, candidates=tuple(rows)))
    assert "fastest candidate is mobilenetv3_small_100 · onnx-fp32 · 4 threads" in text


def test_without_accuracy_latency_alone_is_told() -> None:
    text = said(changed(RANKING, top1=None, top1_low=None, top1_high=None, pareto=False))
    assert "accuracy is not known" in text
    assert "most accurate" not in text


def test_what_lies_between_on_the_front_is_named_or_counted() -> None:
    rows = list(RANKING.candidates)
    rows[5] = msgspec.structs.replace(rows[5], pareto=True)
    text = said(msgspec.structs.replace(RANKING, candidates=tuple(rows)))
    assert (
        "Between the two, also worth a look: efficientnet_lite0 · tflite-fp32 · 4 threads (3.21\u00a0ms, 93.1%)."
        in text
    )
    assert "Between the two, 16 more lie on the Pareto front." in said(changed(RANKING, pareto=True))


def test_one_candidate_is_both() -> None:
    one = msgspec.structs.replace(RANKING, candidates=RANKING.candidates[:1], failures=())
    assert said(one) == (
        "mobilenetv3_small_100 · tflite-fp32 · 4 threads: 97.3% of the test images right at a median of 0.804\u00a0ms."
    )


def test_ties_for_the_first_place_are_told() -> None:
    assert "do not tell 17 others apart" in said(changed(RANKING, rank=1, trusted=True))


def test_nothing_measured_and_nothing_trusted_are_told() -> None:
    assert "nothing to rank" in said(msgspec.structs.replace(RANKING, candidates=()))
    assert "no measurement is trusted" in said(changed(RANKING, trusted=False))
    assert summary(msgspec.structs.replace(RANKING, candidates=(), failures=())).endswith("\n")


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "a|b",
        "[x](javascript:alert(1))",
        "`x`",
        "**x**",
        "_x_",
        "# x",
        "@team",
        "x\ny",
        "https://evil.example",
        "www.evil.example",
        "&lt;",
        "~~x~~",
        "![x](y)",
        "- x",
        "\\|",
        "$x$",
    ],
)
def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    done = escape(name)
    assert not re.search(r"[<>|`*\[\]~@#$\\\n]|://|www\.|^-|(?<![0-9A-Za-z])_", re.sub(r"&#\d+;", "", done))
    text = summary(changed(RANKING, model=name))
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in table} == {11}


@given(st.text(max_size=30))
def test_any_name_keeps_the_shape_of_the_table(name: str) -> None:
    one = msgspec.structs.replace(RANKING.candidates[0], model=name)
    text = summary(msgspec.structs.replace(RANKING, candidates=(one,), failures=()))
    assert sum(line.startswith("| ") and line.count("|") == 11 for line in text.splitlines()) == 2


def test_names_of_models_stay_readable_in_the_source() -> None:
    assert escape("mobilenetv3_small_100.lamb_in1k") == "mobilenetv3_small_100.lamb_in1k"
