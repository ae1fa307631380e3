"""Initialisation, precision, seeds and warnings in the page and the summary."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from accuracy_records import SOURCE, study
from report_records import study as plain_study

from edgeprof.pipeline import Outcome, assemble, store_root
from edgeprof.records import Candidate, Effect
from edgeprof.report import effect, precision
from edgeprof.report.page import page
from edgeprof.report.text import summary
from edgeprof.report.words import Names, drop
from edgeprof.store import Store


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    root = tmp_path_factory.mktemp("work")
    run = study(root)
    return assemble(Store(store_root(root), read_only=True), run, write=False)


@pytest.fixture(scope="module")
def text(outcome: Outcome) -> str:
    """The page, each run of spaces as one."""
    return re.sub(r"\s+", " ", page(outcome.ranking, outcome.measurements))


def told(outcome: Outcome) -> Effect:
    assert outcome.ranking.effect is not None
    return outcome.ranking.effect


def test_a_run_with_one_arm_and_one_precision_has_none_of_it() -> None:
    ranking, measurements = plain_study()
    text = page(ranking, measurements)
    for name in ("initialisation", "precision", "seeds", "warnings"):
        assert f'id="{name}"' not in text
    assert "## Initialisation" not in summary(ranking)
    assert "## Precision" not in summary(ranking)


def test_the_page_and_the_summary_say_the_same(outcome: Outcome) -> None:
    found = told(outcome)
    text = re.sub(r"\s+", " ", page(outcome.ranking, outcome.measurements))
    short = summary(outcome.ranking)
    for sentence in (
        *effect.found(found),
        effect.basis(found.models),
        effect.swapped(found),
        effect.budget_sentence(found),
    ):
        assert sentence in text
        assert sentence in short
    for one in found.models:
        span = effect.points_span(one.difference_low, one.difference_high)
        assert span in text
        assert span in short
    for name in ("Initialisation", "Precision", "Warnings"):
        assert f"## {name}\n" in short
        assert f'id="{name.lower()}"' in text
    assert 'id="seeds"' in text
    assert (
        short.count("names the class")
        == text.split('id="warnings"')[1].split("</section>")[0].count("names the class")
        == 3
    )


def test_the_effect_is_not_carried_twice(text: str) -> None:
    """The page's own data lack it; its tables and ranking.json have it."""
    data = text.split('id="ranking">')[1].split("</script>")[0]
    assert '"effect":null' in data


def test_one_seed_is_said_to_say_nothing_of_seeds(tmp_path: Path) -> None:
    run = study(tmp_path, seeds=(0,), precisions=("fp32",))
    found = assemble(Store(store_root(tmp_path), read_only=True), run, write=False)
    text = page(found.ranking, found.measurements)
    assert "what another seed would give is not known" in re.sub(r"\s+", " ", text)
    assert "one seed" in text
    assert 'id="seeds"' not in text
    assert 'id="precision"' not in text


def test_sentences_of_the_effect(outcome: Outcome) -> None:
    found = told(outcome)
    none = msgspec.structs.replace(found, swaps=(), budgets=())
    assert effect.swapped(none) == "No two models change their order with the initialisation."
    assert effect.budget_sentence(none) == ""
    same = tuple(msgspec.structs.replace(one, changes=False) for one in found.budgets)
    assert "does not change" in effect.budget_sentence(msgspec.structs.replace(found, budgets=same))
    assert f"under {SOURCE}" in effect.budget_sentence(found)
    two = msgspec.structs.replace(found, swaps=found.swaps * 2)
    assert "2 pairs of models swap" in effect.swapped(two)
    assert [effect.points(value) for value in (None, 0.0, -0.0004, 0.0123, -0.0123)] == [
        "–",
        "0.0",
        "0.0",
        "+1.2",
        "−1.2",
    ]
    assert [drop(value) for value in (None, 0.0, 0.0123, -0.0123)] == ["–", "0", "1.23", "−1.23"]


def test_four_arms_have_marks_of_their_own(outcome: Outcome) -> None:
    found = told(outcome)
    arms = tuple(msgspec.structs.replace(found.arms[0], init=f"init-{index}") for index in range(3))
    looks = effect.styles(msgspec.structs.replace(found, arms=(*arms, found.arms[1])))
    assert [one.mark for one in looks] == ["arm-0", "arm-1", "arm-2", "arm-against"]
    assert [one.hollow for one in looks] == [False, False, False, True]


# --- precision


def test_each_file_stands_beside_its_32_bit_file(outcome: Outcome) -> None:
    rows = precision.beside(outcome.ranking.candidates)
    assert len(rows) == 54
    groups = [rows[index : index + 3] for index in range(0, 54, 3)]
    for group in groups:
        first = group[0].candidate
        assert [one.candidate.precision for one in group] == ["fp32", "fp16", "int8"]
        assert [one.base for one in group] == [True, False, False]
        assert {(one.candidate.model, one.candidate.init, one.candidate.seed) for one in group} == {
            (first.model, first.init, first.seed)
        }
        assert group[2].size == pytest.approx(11 / 40)
        assert group[2].latency == pytest.approx(group[2].candidate.median_ms / first.median_ms)
    short = precision.in_short(rows)
    assert [(one.exporter, one.files, one.warned) for one in short] == [
        ("onnx-fp32", 18, 0),
        ("onnx-fp16", 18, 0),
        ("onnx-int8", 18, 3),
    ]
    assert short[0].drop == 0
    assert short[2].largest_drop is not None
    assert short[2].largest_drop > 0.5


def test_latencies_at_other_thread_counts_are_not_compared(outcome: Outcome) -> None:
    some = [
        one for one in outcome.ranking.candidates if one.model == "resnet18" and one.seed == 0 and one.init == "scratch"
    ]

    def at(precision_: str, threads: int) -> Candidate:
        (one,) = [each for each in some if each.precision == precision_]
        return msgspec.structs.replace(one, threads=threads, job=f"{precision_}-{threads}")

    rows = precision.beside([at("fp32", 4), at("fp32", 1), at("int8", 2), at("int8", 4)])
    assert [one.candidate.threads for one in rows] == [4, 4]
    apart = precision.beside([at("fp32", 1), at("int8", 2)])
    assert apart[1].latency is None
    assert apart[1].size is not None


def test_names_in_drawings_keep_initialisation_seed_and_exporter(outcome: Outcome) -> None:
    """54 candidates, and no two of them look alike."""
    names = Names(outcome.ranking.candidates)
    shown = [names.short(one, 40) for one in outcome.ranking.candidates]
    assert len(set(shown)) == len(shown)
    for one, text in zip(outcome.ranking.candidates, shown, strict=True):
        assert f"s{one.seed} · {one.exporter}" in text
        assert len(text) <= 50
