"""The table of candidates in a real browser: finding one's way in many rows, by mouse, keyboard and screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from accuracy_records import study as study_of_arms
from browsing import Open, chromium, visits
from playwright.sync_api import Browser
from report_records import study

from edgeprof.pipeline import assemble, store_root
from edgeprof.report import write_reports
from edgeprof.report.page import row_ids
from edgeprof.store import Store

SHOWN = "#table tbody tr:visible"


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


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with two initialisations, three seeds and three precisions."""
    root = tmp_path_factory.mktemp("arms")
    return assemble(Store(store_root(root)), study_of_arms(root)).files["html"]


def test_words_filter_and_the_number_of_rows_is_told(visit: Open, report: Path) -> None:
    page = visit(report)
    told = page.locator("#shown")
    assert told.get_attribute("role") == "status"
    assert told.inner_text() == ""
    page.get_by_label("Filter by words").fill("RESNET tflite")
    assert page.locator(SHOWN).count() == 2
    assert told.inner_text() == "Shown: 2 of 18 candidates."
    page.get_by_label("Filter by words").fill("nothing of the kind")
    assert page.locator(SHOWN).count() == 0
    assert told.inner_text() == "Shown: 0 of 18 candidates."
    page.get_by_role("button", name="Clear filters").click()
    assert page.locator(SHOWN).count() == 18
    assert page.get_by_label("Filter by words").input_value() == ""
    assert page.evaluate("document.activeElement.id") == "filter"


def test_lists_and_ticks_filter_together_and_sorting_keeps_the_filter(visit: Open, report: Path) -> None:
    page = visit(report)
    page.locator("#filter-format").select_option(label="OpenVINO")
    assert page.locator(SHOWN).count() == 6
    page.get_by_label("trusted only").check()
    assert page.locator(SHOWN).count() == 5
    page.locator("#table thead button", has_text="Median").click()
    page.locator("#table thead button", has_text="Median").click()
    assert page.locator(SHOWN).count() == 5
    values = page.locator(f"{SHOWN} td[data-key=median_ms]").evaluate_all("c => c.map(x => Number(x.dataset.value))")
    assert values == sorted(values, reverse=True)
    page.locator("#filter-format").select_option(label="all")
    page.get_by_label("front only").check()
    ranking, _ = study()
    assert page.locator(SHOWN).count() == sum(one.pareto for one in ranking.candidates)


def test_only_what_differs_can_be_filtered_by(visit: Open, report: Path, arms: Path) -> None:
    page = visit(report)
    assert page.locator(".controls[role=group] label").all_inner_texts()[0].startswith("Filter by words")
    assert page.locator("#filter-precision").count() == 0
    assert page.locator("#filter-init").count() == 0
    page = visit(arms)
    total = page.locator(SHOWN).count()
    page.locator("#filter-precision").select_option(label="int8")
    page.locator("#filter-init").select_option(label="scratch")
    shown = page.locator(SHOWN).count()
    assert 0 < shown < total / 2
    assert page.locator(f"{SHOWN}[data-precision=int8][data-init=scratch]").count() == shown


def test_the_filter_works_by_keyboard_alone(visit: Open, report: Path) -> None:
    page = visit(report)
    page.locator("#filter").focus()
    page.keyboard.type("mobilenet")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "filter-format"
    page.keyboard.type("TFLite")
    assert page.locator(SHOWN).count() == 2
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.get_by_label("trusted only").is_checked()


def test_a_link_to_a_row_shows_and_marks_it(visit: Open, report: Path) -> None:
    """From outside, from the list of what is not trusted, and to a row that is filtered out."""
    ranking, _ = study()
    ids = row_ids(ranking.candidates)
    one = ranking.candidates[4]
    page = visit(report)
    page.goto(f"{report.as_uri()}#{ids[one.job]}")
    plain = page.locator(f"#{ids[ranking.candidates[3].job]}")
    target = page.locator("#table tr:target")
    assert target.get_attribute("data-job") == one.job
    colour = "row => getComputedStyle(row).backgroundColor"
    assert target.evaluate(colour) != plain.evaluate(colour)
    assert page.evaluate("window.scrollY") > 0
    page.locator("#filter").fill("mobilenetv3")
    (doubtful,) = [each for each in ranking.candidates if not each.trusted]
    row = page.locator(f"#{ids[doubtful.job]}")
    assert not row.is_visible()
    page.locator("section[aria-labelledby=doubts] a").first.click()
    row.wait_for(state="visible")
    assert page.locator("#table tr:target").get_attribute("data-job") == doubtful.job
    assert page.locator(SHOWN).count() == 18


def test_a_table_that_goes_on_to_the_side_says_so(visit: Open, report: Path) -> None:
    """On a phone; not where all of it is there, and not on paper."""
    page = visit(report, width=400)
    hint = page.locator("section[aria-labelledby=candidates] .hint")
    hint.wait_for(state="visible")
    assert "sideways" in hint.inner_text()
    assert hint.get_attribute("aria-hidden") == "true"
    page.emulate_media(media="print")
    assert not hint.is_visible()
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 900})
    hint.wait_for(state="hidden")


def test_a_score_has_a_column_that_sorts(visit: Open, tmp_path: Path) -> None:
    ranking, _ = study()
    rows = tuple(
        msgspec.structs.replace(one, score=1 + (7 * place) % 18 / 10) for place, one in enumerate(ranking.candidates)
    )
    by = msgspec.structs.replace(ranking, by="latency=2,top1=1", candidates=rows)
    page = visit(write_reports(by, [], tmp_path)["html"])
    page.locator("#table thead button", has_text="Score (latency=2,top1=1)").click()
    values = page.locator("#table td[data-key=by]").evaluate_all("c => c.map(x => Number(x.dataset.value))")
    assert values == sorted(values)
    assert len(set(values)) == 18


def test_hostile_kinds_in_the_lists_stay_text(visit: Open, tmp_path: Path) -> None:
    name = "<img src=x onerror=hacked=1>\"'&amp;\u202e"
    ranking, measurements = study()
    first, *others = ranking.candidates
    odd = msgspec.structs.replace(first, init=name, precision=name, model=name, exporter=name)
    page = visit(
        write_reports(msgspec.structs.replace(ranking, candidates=(odd, *others)), measurements, tmp_path)["html"]
    )
    page.locator("#filter-precision").select_option(index=2)
    page.locator("#filter-precision").select_option(index=1)
    assert page.locator(SHOWN).count() == 1
    page.locator("#filter-init").select_option(index=1)
    assert page.locator(SHOWN).count() == 1
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img").count() == 0
    assert "\u202e" not in page.locator("body").inner_text()


@pytest.mark.slow
def test_a_table_of_1620_rows_sorts_and_filters(visit: Open, tmp_path: Path) -> None:
    ranking, _ = study()
    rows = tuple(
        msgspec.structs.replace(one, job=f"{one.job}-{number}", model=f"{one.model}-{number:02}", rank=number + 1)
        for number in range(90)
        for one in ranking.candidates
    )
    big = msgspec.structs.replace(ranking, candidates=rows, operators=(), failures=(), effect=None)
    page = visit(write_reports(big, [], tmp_path)["html"])
    assert page.locator("#table tbody tr").count() == 1620
    assert page.locator(SHOWN).count() == 200
    assert page.locator("#shown").inner_text() == "Shown: 200 of 1620 candidates."
    page.emulate_media(media="print")
    left = "On paper the other 1420 are left out; all are in ranking.csv beside this page."
    assert page.locator("#shown").inner_text() == f"Shown: 200 of 1620 candidates. {left}"
    page.emulate_media(media="screen")
    page.locator("#table thead button", has_text="p90").click()
    values = page.locator("#table td[data-key=p90_ms]").evaluate_all("c => c.map(x => Number(x.dataset.value))")
    assert values == sorted(values)
    assert page.locator(SHOWN).first.get_attribute("id") == page.locator("#table tbody tr").first.get_attribute("id")
    assert page.locator(SHOWN).count() == 200
    page.locator("#filter").fill("resnet18-07")
    assert page.locator(SHOWN).count() == 6
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Show all 1620 rows").click()
    assert page.locator(SHOWN).count() == 1620
    page = visit(write_reports(big, [], tmp_path)["html"], java_script_enabled=False)
    assert page.locator(SHOWN).count() == 1620, "without scripts nothing is hidden"
