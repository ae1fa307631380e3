"""The budget in the page, in a real browser: its answer is that of `edgeprof choose`, and it is told everywhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from browsing import Open, chromium, visits
from playwright.sync_api import Browser, Page
from report_records import study

from edgeprof.rank import choose
from edgeprof.records import Candidate, Choice, Ranking
from edgeprof.report import write_reports
from edgeprof.report.page import row_ids

PERCENTILES = (50, 90, 99)
ASK = """asked => asked.map(([budget, percentile]) => {
  const set = (id, value, event) => {
    const control = document.getElementById(id);
    control.value = String(value);
    control.dispatchEvent(new Event(event, { bubbles: true }));
  };
  set("budget-percentile", percentile, "change");
  set("budget-field", budget, "input");
  const told = document.getElementById("answer").dataset;
  return { ...told, marked: [...document.querySelectorAll("tr.chosen")].map(row => row.id).join(" ") };
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    with visits(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reports(*study(), tmp_path_factory.mktemp("report"))["html"]


def scrambled(seed: int) -> Ranking:
    """A ranking with ties in everything, what is not trusted, not known or not bounded, and odd names of jobs."""
    ranking, _ = study()
    rng = np.random.default_rng(seed)
    jobs = ["Z", "a", "é", "\U0001f600", "\uffee", "a b", "10", "9"] + [f"j{number}" for number in range(10)]

    def draw(chance: float, value: float) -> float | None:
        return None if rng.random() < chance else value

    def changed(one: Candidate, job: str) -> Candidate:
        top1 = draw(0.15, float(rng.choice([0.9, 0.91, 0.905])))
        bounds = [float(rng.choice([1.0, 2.5, 2.5, 7.1, 0.1 + 0.2])) for _ in range(3)]
        return msgspec.structs.replace(
            one,
            job=job,
            trusted=bool(rng.random() < 0.8),
            top1=top1,
            top1_low=None if top1 is None else top1 - 0.02,
            top1_high=None if top1 is None else top1 + 0.02,
            size_bytes=int(rng.choice([1000, 2000])),
            median_ms=0.2,
            median_high_ms=draw(0.2, bounds[0]),
            p90_ms=0.25,
            p90_high_ms=draw(0.2, bounds[1]),
            p99_ms=(p99 := draw(0.2, 0.28)),
            p99_high_ms=None if p99 is None else draw(0.1, bounds[2]),
        )

    rows = tuple(changed(one, job) for one, job in zip(ranking.candidates, jobs, strict=True))
    return msgspec.structs.replace(ranking, candidates=rows, operators=(), effect=None)


def budgets_of(ranking: Ranking, more: int, seed: int) -> list[tuple[float, int]]:
    """Every bound, the numbers next to it, and as many others as asked for; in turn with each percentile."""
    bounds = {
        bound
        for one in ranking.candidates
        for bound in (one.median_high_ms, one.p90_high_ms, one.p99_high_ms)
        if bound is not None
    }
    rng = np.random.default_rng(seed)
    near = [value for bound in bounds for value in (bound, math.nextafter(bound, 0), math.nextafter(bound, math.inf))]
    others = [float(value) for value in 10 ** rng.uniform(-3, 3, size=more)]
    return [(value, percentile) for value in [*near, *others] for percentile in PERCENTILES]


def expected(choice: Choice, ids: dict[str, str]) -> dict[str, str]:
    def id_of(one: Candidate | None) -> str:
        return "" if one is None else ids[one.job]

    return {
        "chosen": id_of(choice.chosen),
        "runnerUp": id_of(choice.runner_up),
        "miss": id_of(choice.nearest_miss),
        "marked": id_of(choice.chosen),
    }


def ask(page: Page, asked: list[tuple[float, int]]) -> list[dict[str, Any]]:
    found = page.evaluate(ASK, [[repr(budget), percentile] for budget, percentile in asked])
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4])
def test_the_page_chooses_as_edgeprof_choose_does(visit: Open, tmp_path: Path, seed: int | None) -> None:
    """Over 1000 budgets, those exactly at a bound among them: chosen, runner-up, nearest miss and who is rejected."""
    ranking, _ = study()
    if seed is None:  # as measured, but for a p99, of which there are too few samples
        rows = tuple(
            msgspec.structs.replace(one, p99_ms=1.3 * one.median_ms, p99_high_ms=1.5 * one.median_ms)
            for one in ranking.candidates[::2]
        )
        ranking = msgspec.structs.replace(ranking, candidates=(*rows, *ranking.candidates[1::2]))
    else:
        ranking = scrambled(seed)
    page = visit(write_reports(ranking, [], tmp_path)["html"])
    ids = row_ids(ranking.candidates)
    asked = budgets_of(ranking, 25, seed or 0)
    answers = ask(page, asked)
    assert len(asked) > 80
    for (budget, percentile), told in zip(asked, answers, strict=True):
        choice = choose(ranking, budget, percentile)
        assert {key: told[key] for key in expected(choice, ids)} == expected(choice, ids), (budget, percentile)
        (refused,) = json.loads(told["refused"])
        limits = [limit for one in choice.rejected for limit in one.limits]
        assert refused == {limit: limits.count(limit) for limit in set(limits)}, (budget, percentile)
    assert {bool(told["chosen"]) for told in answers} == {True, False}


def untrusted() -> Ranking:
    """As scrambled, but nothing is trusted, of the training that `edgeprof run` takes."""
    ranking = scrambled(5)
    rows = tuple(
        msgspec.structs.replace(one, trusted=False, pareto=False, reasons=("other load", f"reason {at}"))
        for at, one in enumerate(ranking.candidates)
    )
    return msgspec.structs.replace(ranking, candidates=rows, training="demo", device="my board")


def test_where_trust_alone_is_wanting_the_page_says_what_choose_says(visit: Open, tmp_path: Path) -> None:
    """What would be chosen, why it is not trusted, how many would keep to the budget, and what measures again."""
    ranking = untrusted()
    page = visit(write_reports(ranking, [], tmp_path)["html"])
    ids = row_ids(ranking.candidates)
    asked = budgets_of(ranking, 5, 5)
    for (budget, percentile), told in zip(asked, ask(page, asked), strict=True):
        right = expected(choose(ranking, budget, percentile), ids)
        assert {key: told[key] for key in right} == right, (budget, percentile)
    counts = set()
    for budget in (0.2, 1.0, 2.5, 8.0):
        page.locator("#budget-field").fill(repr(budget))
        page.locator("#budget-percentile").select_option("90")
        text = page.locator("#answer").inner_text()
        choice = choose(ranking, budget)
        assert choice.nearest_miss is not None
        found = re.search(r"(\d+) would, but cannot be trusted", choice.reason)
        counts.add(found and found[1])
        assert (found and found[0] in text) or (not found and "would" not in text)
        assert "not trusted" in text
        if found:
            assert "Would be chosen if it could be trusted" in text
            assert f"Not trusted: {'; '.join(choice.nearest_miss.reasons)}" in text
            assert "Nearest miss" not in text
            again = page.locator("#answer .again").inner_text()
            assert choice.reason.endswith(again)
            assert again == "To measure again: edgeprof run --fresh --device 'my board'"
    assert len(counts) > 2
    assert page.locator("#scatter [data-to]").count()
    assert page.locator("#scatter [data-to].out").count() == 0, "all pale would be none to be seen"
    words = page.locator("section[aria-labelledby=tradeoff]").inner_text()
    assert "Pareto front" not in words
    assert "hollow because nothing is trusted" in words
    assert "pale is what cannot be chosen" not in words


def test_the_slider_works_by_keyboard_and_tells_what_it_does(visit: Open, report: Path) -> None:
    page = visit(report)
    slider, field = page.locator("#budget-slider"), page.locator("#budget-field")
    ranking, _ = study()
    bounds = [one.p90_high_ms for one in ranking.candidates if one.p90_high_ms is not None]
    assert float(field.input_value()) > max(bounds), "at first all that can meet it does"
    slider.focus()
    page.keyboard.press("Home")
    assert float(field.input_value()) < min(bounds)
    assert page.locator("#answer").inner_text().count("No candidate meets the budget") == 1
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("PageDown")
    page.keyboard.press("ArrowLeft")
    budget = float(field.input_value())
    assert min(bounds) < budget < max(bounds)
    assert "milliseconds" in (slider.get_attribute("aria-valuetext") or "")
    chosen = choose(ranking, budget).chosen
    assert chosen is not None
    assert page.locator("#answer").get_attribute("data-chosen") == row_ids(ranking.candidates)[chosen.job]
    assert page.locator("#answer").get_attribute("role") == "status"
    assert page.locator("#command").inner_text().startswith(f"edgeprof choose --run {ranking.run} --budget ")
    page.set_viewport_size({"width": 400, "height": 900})
    heights = page.locator("#command span").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(heights) == 4
    assert len(set(heights)) == 1, "no option of the command is broken into two lines"


def test_the_budget_is_marked_in_the_plot_and_in_the_table(visit: Open, report: Path) -> None:
    page = visit(report)
    ranking, _ = study()
    page.locator("#budget-field").fill("5")
    fit = [one for one in ranking.candidates if one.trusted and one.p90_high_ms is not None and one.p90_high_ms <= 5]
    drawing = page.locator("#scatter .wide")
    assert drawing.locator("[data-to]:not(.out)").count() == len(fit)
    assert drawing.locator("[data-to].out").count() == len(ranking.candidates) - len(fit)
    assert drawing.locator("[data-to].chosen").count() == 1
    line = drawing.locator(".budget-line line").bounding_box()
    assert line is not None
    boxes = {str(point.get_attribute("data-to")): point.bounding_box() for point in drawing.locator("[data-to]").all()}
    ids = row_ids(ranking.candidates)
    for one in ranking.candidates:
        box = boxes[ids[one.job]]
        assert box is not None
        assert (box["x"] + box["width"] / 2 < line["x"]) == (one.median_ms < 5)
    note = page.locator("#line-note")
    assert "on an axis of medians" in note.inner_text()
    assert "the upper end of the p90's interval decides; pale is what cannot be chosen." in note.inner_text()
    row = page.locator("tr.chosen")
    assert row.count() == 1
    assert "chosen" in row.locator(".badge").all_inner_texts()
    assert page.locator("#answer a").first.get_attribute("href") == f"#{row.get_attribute('id')}"
    page.locator("#budget-field").fill("0.001")
    assert page.locator("tr.chosen, .badge.chosen, .budget-line").count() == 0
    assert not note.is_visible(), "there is no line to speak of"


def test_units_are_those_of_the_command_and_nonsense_is_refused(visit: Open, report: Path) -> None:
    page = visit(report)
    answer, field = page.locator("#answer"), page.locator("#budget-field")
    field.fill("5")
    chosen = answer.get_attribute("data-chosen")
    page.locator("#budget-unit").select_option("us")
    assert field.input_value() == "5000"
    assert answer.get_attribute("data-chosen") == chosen
    assert "--budget 5000us" in page.locator("#command").inner_text()
    page.locator("#budget-unit").select_option("s")
    assert field.input_value() == "0.005"
    for text in ("", "0", "-3"):
        field.fill(text)
        told = "Write a time of more than zero as the budget." if text else "Write a latency budget, or another limit."
        assert answer.inner_text() == told
        assert not page.locator("#command").is_visible(), "no command that asks for something else"
        assert answer.get_attribute("data-chosen") == ""
        assert field.get_attribute("aria-invalid") == "true"
        assert page.locator("tr.chosen").count() == 0
    field.fill("0.005")
    assert field.get_attribute("aria-invalid") == "false"


def test_only_percentiles_that_are_known_can_be_asked_for(visit: Open, report: Path, tmp_path: Path) -> None:
    options = "o => o.map(x => x.value)"
    assert visit(report).locator("#budget-percentile option").evaluate_all(options) == ["50", "90", "99"]
    ranking, _ = study()
    rows = tuple(msgspec.structs.replace(one, p99_ms=None, p99_high_ms=None) for one in ranking.candidates)
    page = visit(write_reports(msgspec.structs.replace(ranking, candidates=rows), [], tmp_path)["html"])
    assert page.locator("#budget-percentile option").evaluate_all(options) == ["50", "90"]
    assert page.locator("#budget-percentile").input_value() == "90"


def test_without_a_bound_there_is_nothing_to_choose(visit: Open, tmp_path: Path) -> None:
    ranking, _ = study()
    rows = tuple(
        msgspec.structs.replace(one, median_high_ms=None, p90_high_ms=None, p99_high_ms=None)
        for one in ranking.candidates[:3]
    )
    bare = msgspec.structs.replace(ranking, candidates=rows)
    assert visit(write_reports(bare, [], tmp_path)["html"]).locator("#choose").count() == 0


def test_one_candidate_is_chosen_or_not(visit: Open, tmp_path: Path) -> None:
    ranking, _ = study()
    alone = msgspec.structs.replace(ranking, candidates=ranking.candidates[:1])
    page = visit(write_reports(alone, [], tmp_path)["html"])
    assert "Nothing else meets the budget. 1 of 1 candidate meets it." in page.locator("#answer").inner_text()


def test_without_scripts_and_on_paper_there_is_no_slider(visit: Open, report: Path) -> None:
    assert not visit(report, java_script_enabled=False).locator("#choose").is_visible()
    page = visit(report)
    page.locator("#budget-field").fill("5")
    page.emulate_media(media="print")
    for hidden in ("#choose", ".controls", ".budget-line", ".badge.chosen"):
        assert not page.locator(hidden).first.is_visible(), hidden
