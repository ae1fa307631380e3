"""The page in a real browser: nothing leaves, nothing complains, and it works by mouse, by keyboard and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from accuracy_records import study as study_of_arms
from browsing import Open, chromium, visits
from playwright.sync_api import Browser, Page
from report_records import MODELS, study

from edgeprof.pipeline import assemble, store_root
from edgeprof.records import Arm, Effect, Operator, Placed, Ran
from edgeprof.report import write_reports
from edgeprof.store import Store

ROW = "#table tbody tr"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reports(*study(), tmp_path_factory.mktemp("report"))["html"]


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with two initialisations, three seeds and three precisions."""
    root = tmp_path_factory.mktemp("arms")
    return assemble(Store(store_root(root)), study_of_arms(root)).files["html"]


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Open]:
    with visits(browser) as opened:
        yield lambda path=report, **options: opened(path, **options)


def column(page: Page, key: str) -> list[str]:
    return [
        str(text) for text in page.locator(f"{ROW} td[data-key={key}]").evaluate_all("c => c.map(x => x.dataset.value)")
    ]


def test_it_opens_quietly_and_shows_the_ranking(visit: Open) -> None:
    page = visit()
    ranking, _ = study()
    assert page.locator(ROW).count() == len(ranking.candidates)
    assert page.title() == "raspberry-pi: which model to ship (edgeprof)"
    shown = page.locator(ROW).evaluate_all("rows => rows.map(row => row.dataset.job)")
    assert shown == [one.job for one in ranking.candidates]
    page.locator("#spread ~ details summary").click()
    assert page.locator("details svg").first.is_visible()


def test_the_new_sections_show_their_drawings_and_tables(visit: Open) -> None:
    """Threads, cold start, details, operators, what ran: for every candidate that has them."""
    page = visit()
    ranking, _ = study()
    for name in ("threads", "operators"):
        section = page.locator(f"section[aria-labelledby={name}]")
        assert section.locator("svg:visible").count() >= 1
        box = section.locator("svg:visible").first.bounding_box()
        assert box is not None
        assert box["width"] > 250
        assert box["height"] > 100
    assert page.locator("#speedups tbody tr").count() == 9
    for name in ("cold", "details", "ran"):
        rows = page.locator(f"section[aria-labelledby={name}] tbody tr")
        assert rows.count() == len(ranking.candidates)
    assert page.locator("section[aria-labelledby=operators] article").count() == len(ranking.operators) == 3
    assert page.locator("section[aria-labelledby=doubts]").inner_text().count("measured twice") == 2


def test_the_list_of_operators_opens_and_sorts_by_time(visit: Open) -> None:
    page = visit()
    ranking, _ = study()
    article = page.locator("section[aria-labelledby=operators] article").first
    assert not article.locator("table").is_visible()
    article.locator("summary").click()
    assert article.locator("table").is_visible()
    assert article.locator("tbody tr").count() == len(ranking.operators[0].operators)
    article.locator("thead button", has_text="Median").click()
    cells = article.locator("tbody tr td:nth-child(6)")
    times = [float(str(value)) for value in cells.evaluate_all("c => c.map(x => x.dataset.value)")]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_a_click_sorts_and_a_second_click_turns_the_order(visit: Open) -> None:
    page = visit()
    head = page.locator("#table thead th", has_text="p90")
    head.locator("button").click()
    values = [float(text) for text in column(page, "p90_ms")]
    assert values == sorted(values)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert [float(text) for text in column(page, "p90_ms")] == sorted(values, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("#table th[aria-sort]").count() == 1
    assert "descending" in (page.locator("#sorted").text_content() or "")


def test_the_keyboard_sorts_too_and_accuracy_starts_with_the_best(visit: Open) -> None:
    page = visit()
    button = page.locator("#table thead button", has_text="Top-1")
    button.focus()
    page.keyboard.press("Enter")
    values = [float(text) for text in column(page, "top1")]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Space")
    assert [float(text) for text in column(page, "top1")] == sorted(values)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("Median")


def test_unknown_values_stay_last_in_both_orders(visit: Open) -> None:
    page = visit()
    button = page.locator("#more thead button", has_text="p99")
    for _ in range(2):
        button.click()
        cells = page.locator("#more td[data-key=p99_ms]")
        unknown = cells.evaluate_all("c => c.map(x => x.dataset.value === '')")
        assert any(unknown)
        assert not all(unknown)
        assert unknown == sorted(unknown)


def test_a_point_tells_its_numbers_and_leads_to_its_row(visit: Open) -> None:
    page = visit()
    points = page.locator("#scatter .wide [aria-roledescription=point]")
    assert points.count() == 18
    for index in (0, 5, 17):
        point = points.nth(index)
        point.focus()
        label = point.get_attribute("aria-label") or ""
        assert page.locator("#tip").text_content() == label
        page.keyboard.press("Enter")
        row = page.locator("#table tr:target")
        median = row.locator("td[data-key=median_ms]").inner_text().split()[0]
        assert f"median {median}\u00a0ms" in label
        assert (row.locator("th a").first.text_content() or "") in label


def test_light_and_dark_differ_and_are_both_legible(visit: Open) -> None:
    look = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    point = "getComputedStyle(document.querySelector('#scatter [aria-roledescription=point]')).fill"
    others = "[...document.querySelectorAll('section[aria-labelledby=threads] svg [stroke^=var], "
    others += "section[aria-labelledby=operators] svg [fill^=var]')].map(one => getComputedStyle(one).stroke +"
    others += " getComputedStyle(one).fill)"
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    assert light.evaluate(look) == ["rgb(255, 255, 255)", "rgb(27, 31, 36)"]
    assert dark.evaluate(look) == ["rgb(20, 23, 27)", "rgb(231, 234, 238)"]
    assert light.evaluate(point) != dark.evaluate(point)
    assert light.evaluate(point).startswith("rgb(")  # the drawing's colours are really resolved
    pairs = list(zip(light.evaluate(others), dark.evaluate(others), strict=True))
    assert len(pairs) > 40
    assert all(one != other and "var(" not in one + other for one, other in pairs)


@pytest.mark.parametrize("width", [320, 400, 700])
def test_narrow_pages_scroll_only_within_the_table(visit: Open, width: int) -> None:
    page = visit(width=width)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 400:
        assert page.locator(".scroll").first.evaluate("box => box.scrollWidth > box.clientWidth")
        assert page.locator("#scatter .phone").is_visible()
        assert not page.locator("#scatter .wide").is_visible()
        threads = page.locator("section[aria-labelledby=threads]")
        assert threads.locator(".phone").is_visible()
        assert not threads.locator(".wide").is_visible()


def test_paper_is_light_and_holds_everything(visit: Open) -> None:
    page = visit(color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details svg").first.is_visible()
    assert page.locator(ROW).count() == 18
    for name in ("threads", "cold", "details", "operators", "ran"):
        assert page.locator(f"section[aria-labelledby={name}]").is_visible()
    assert not page.locator("table.operators").first.is_visible(), "lists of data stay folded on paper"
    assert len(page.pdf(format="A4")) > 10_000


def test_initialisation_and_precision_have_their_drawing_and_tables(visit: Open, arms: Path) -> None:
    page = visit(arms)
    section = page.locator("section[aria-labelledby=initialisation]")
    box = section.locator("#arms svg:visible").bounding_box()
    assert box is not None
    assert box["width"] > 900
    assert section.locator(".legend li").all_inner_texts() == ["training:transfer-source", "scratch"]
    rows = section.locator("table.effect tbody tr")
    assert rows.count() == 3
    section.locator("thead button", has_text="Difference").click()
    shown = section.locator("td[data-key=difference]").evaluate_all("c => c.map(x => Number(x.dataset.value))")
    assert shown == sorted(shown, reverse=True)
    assert page.locator("#precisions tbody tr").count() == 3
    page.locator("section[aria-labelledby=precision] summary").click()
    assert page.locator("#beside tbody tr").count() == 54
    assert page.locator("#beside").is_visible()
    page.locator("#table a[href='#warnings']").first.click()
    assert page.locator("section[aria-labelledby=warnings] li").count() == 3


def test_the_arms_are_drawn_in_the_colours_of_the_page(visit: Open, arms: Path) -> None:
    page = visit(arms, color_scheme="dark")
    strokes = page.locator("#arms .wide svg [stroke^=var]").evaluate_all("c => c.map(x => getComputedStyle(x).stroke)")
    assert len(set(strokes)) == 3, "two arms and the grid"
    assert all(str(one).startswith("rgb(") for one in strokes)
    marks = page.locator("section[aria-labelledby=initialisation] .mark")
    solid = "c => c.map(x => getComputedStyle(x).backgroundColor !== 'rgba(0, 0, 0, 0)')"
    assert marks.evaluate_all(solid) == [True, False], "the one that is told against is hollow"


def test_the_arms_fit_a_phone_and_paper(visit: Open, arms: Path) -> None:
    page = visit(arms, width=320)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator("#arms .phone").is_visible()
    page.emulate_media(media="print")
    for name in ("initialisation", "precision", "seeds", "warnings"):
        assert page.locator(f"section[aria-labelledby={name}]").is_visible()


def test_without_scripts_it_can_still_be_read(visit: Open) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("#scatter .wide svg").is_visible()
    assert page.locator(ROW).count() == 18
    assert page.locator("button").count() == 0
    assert not page.get_by_text("Choose a column's name").is_visible()


def placed(model: str) -> Placed:
    return Placed(
        model=model,
        top1=0.9,
        top1_low=0.8,
        top1_high=0.95,
        sources="images",
        images=450,
        seeds=(0,),
        seeds_sd=None,
        place_low=1,
        place_high=1,
    )


def test_hostile_names_do_not_run(visit: Open, tmp_path: Path) -> None:
    """In names of every kind at once; what did run would leave `hacked`, the rest would show on the console."""
    name = "</script></style><script>hacked=1</script><img src=https://evil.example/x onerror=hacked=1>"
    name += "<svg onload=hacked=1>"
    ranking, measurements = study(models={"resnet18": MODELS["resnet18"]}, device=name)
    rows = tuple(
        msgspec.structs.replace(one, model=name, exporter=name, reasons=(name,), trusted=False, runs_on=name)
        for one in ranking.candidates
    )
    failures = tuple(msgspec.structs.replace(one, error=name, hint=name) for one in ranking.failures)
    ran = Ran(provider=name, nodes=1, on_provider=1, partitions=1, precisions={name: 1}, source=name)
    rows = tuple(msgspec.structs.replace(one, ran=ran, p99_ms=None, p99_reason=name) for one in rows)
    step = Operator(name=name, kind=name, runs_on=name, precision=name, median_ns=1)
    operators = tuple(msgspec.structs.replace(one, source=name, operators=(step,)) for one in ranking.operators)
    hostile = msgspec.structs.replace(
        ranking, candidates=rows, failures=failures, operators=operators, run=name, started_at=name
    )
    told = Effect(
        training=name,
        run=name,
        models=(),
        arms=(Arm(init=name, models=(placed(name),)), Arm(init="scratch", models=(placed(name),))),
        swaps=(),
        budgets=(),
        missing=(name,),
    )
    hostile = msgspec.structs.replace(
        hostile, effect=told, candidates=tuple(msgspec.structs.replace(one, warnings=(name,)) for one in rows)
    )
    page = visit(write_reports(hostile, measurements, tmp_path)["html"])
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img").count() == 0
    page.locator("#scatter .wide [aria-roledescription=point]").first.focus()
    assert page.locator("#tip img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Browser, report: Path, tmp_path: Path) -> None:
    text = report.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    smuggled = "<script>hacked=1</script><img src=data:, onerror=hacked=1><img src=https://evil.example/x></body>"
    broken.write_text(text.replace("</body>", smuggled), encoding="utf-8")
    page = browser.new_page()
    answered: list[str] = []
    page.on("requestfinished", lambda request: answered.append(request.url))
    page.goto(broken.as_uri())
    page.wait_for_load_state("load")
    assert page.evaluate("typeof hacked") == "undefined"
    assert all(url == broken.as_uri() or url.startswith("data:") for url in answered)
    page.close()
