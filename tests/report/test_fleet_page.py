"""Several devices side by side: the numbers are those of the rankings, and the page works in a real browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Open, chromium, visits
from fleet_records import fleet
from playwright.sync_api import Browser
from test_budget_slider import ask, expected
from test_page import HOSTILE, Page

from edgeprof.rank import choose, choose_for_all
from edgeprof.rank.proxies import between, device_swaps
from edgeprof.records import Fleet, Limits, from_json
from edgeprof.report import fleet_proxies, write_fleet
from edgeprof.report.fleet import fleet_page, lines
from edgeprof.report.page import row_ids
from edgeprof.report.words import Names

SMALL = (3, 2)
"""Devices and models: 108 candidates."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    with visits(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_fleet(*fleet(*SMALL), tmp_path_factory.mktemp("fleet"))


def test_every_device_stands_beside_the_others_with_its_own_numbers() -> None:
    found, _ = fleet(*SMALL)
    first, second, third = found.rankings
    gone = second.candidates[0]
    less = msgspec.structs.replace(second, candidates=second.candidates[1:])
    rows = lines((first, less, third))
    assert len(rows) == len(first.candidates)
    for row in rows:
        for ranking, one in zip((first, less, third), row.there, strict=True):
            same = [
                each
                for each in ranking.candidates
                if (each.model, each.init, each.exporter) == (row.first.model, row.first.init, row.first.exporter)
            ]
            assert one == (same[0] if same else None)
    (alone,) = [row for row in rows if None in row.there]
    assert (alone.first.model, alone.first.exporter) == (gone.model, gone.exporter)
    places = [sum(one.rank for one in row.there if one) / 3 for row in rows if None not in row.there]
    assert places == sorted(places)


def test_the_files_hold_all_devices(files: dict[str, Path]) -> None:
    found, _ = fleet(*SMALL)
    assert from_json(files["json"].read_bytes(), Fleet) == found
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text(encoding="utf-8"))))
    assert [(row["device"], row["job"]) for row in rows] == [
        (ranking.device, one.job) for ranking in found.rankings for one in ranking.candidates
    ]
    text = files["markdown"].read_text(encoding="utf-8")
    assert "| Model | Exported as | Threads | Top-1 % | board-0 | board-1 | board-2 |" in text
    assert set(files) == {"json", "csv", "markdown", "html", "parquet"}


def test_the_page_is_quiet_sorts_and_filters_by_device(visit: Open, files: dict[str, Path]) -> None:
    page = visit(files["html"])
    found, _ = fleet(*SMALL)
    total = sum(len(one.candidates) for one in found.rankings)
    assert page.locator("#table tbody tr").count() == total == 108
    assert page.locator("#table svg.strip").count() == total
    assert page.locator("#side-by-side tbody tr").count() == 36
    assert page.locator("#scatter svg").count() == 3
    page.locator("#filter-device").select_option(label="board-1")
    assert page.locator("#table tbody tr:visible").count() == 36
    page.locator("#table thead button", has_text="Median").click()
    shown = page.locator("#table tbody tr:visible td:nth-child(7)").evaluate_all("c => c.map(x => +x.dataset.value)")
    assert shown == sorted(shown)
    page.locator("#side-by-side thead button", has_text="board-2").click()
    column = page.locator("#side-by-side tbody td:nth-child(7)").evaluate_all("c => c.map(x => +x.dataset.value)")
    assert column == sorted(column)
    page.locator("#side-by-side tbody td:nth-child(6) a").first.click()
    target = page.locator("#table tr:target")
    assert target.get_attribute("data-device") == "board-1"
    assert target.is_visible()
    page.wait_for_function(  # it scrolls smoothly
        "() => { const box = document.querySelector('#table tr:target').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight; }"
    )


def test_the_budget_chooses_on_each_device_and_one_file_for_all(visit: Open, files: dict[str, Path]) -> None:
    """As `edgeprof choose` with several devices does."""
    found, _ = fleet(*SMALL)
    names = Names([one for ranking in found.rankings for one in ranking.candidates])
    ids = [
        {job: f"d{at}-{row}" for job, row in row_ids(ranking.candidates).items()}
        for at, ranking in enumerate(found.rankings, start=1)
    ]
    bounds = [one.p90_high_ms for ranking in found.rankings for one in ranking.candidates]
    asked = [(bound, 90) for bound in sorted(bound for bound in bounds if bound)[::3]] + [(1e-3, 90), (1e3, 90)]
    page = visit(files["html"])
    answers = ask(page, asked)
    chosen_somewhere = set()
    for (budget, percentile), told in zip(asked, answers, strict=True):
        choices = [choose(ranking, budget, percentile) for ranking in found.rankings]
        wanted = [expected(choice, their) for choice, their in zip(choices, ids, strict=True)]
        for key in ("chosen", "runnerUp", "miss"):
            assert told[key] == " ".join(one[key] for one in wanted), (budget, key)
        limits = Limits(budget_ms=budget, percentile=percentile)
        for_all = choose_for_all(list(zip(found.rankings, choices, strict=True)), limits)
        said = page.evaluate(
            "n => JSON.parse(document.getElementById('choose').dataset.candidates).files[n]", told["forAll"]
        )
        assert said == (names.file(for_all.chosen[0].candidate, 80) if for_all.chosen else None), budget
        chosen_somewhere.add(said)
    assert len(chosen_somewhere) > 3
    assert page.locator("#answer tbody tr").count() == 3


def test_the_page_tells_how_far_devices_agree_and_which_models_they_swap(visit: Open, tmp_path: Path) -> None:
    found, spreads = fleet(3, 5)
    turned = msgspec.structs.replace(
        found.rankings[2],
        device="odd",
        candidates=tuple(
            msgspec.structs.replace(
                one, median_ms=9 / one.median_ms, median_low_ms=8.9 / one.median_ms, median_high_ms=9.1 / one.median_ms
            )
            for one in found.rankings[2].candidates
        ),
    )
    rankings = (*found.rankings[:2], turned)
    odd = Fleet(rankings=rankings, failures=(), between=between(rankings), swaps=device_swaps(rankings))
    files = write_fleet(odd, spreads, tmp_path)
    page = visit(files["html"])
    cells = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    rows = page.locator("#device-pairs tbody tr").evaluate_all(cells)
    assert [row[:2] for row in rows] == [["board-0", "board-1"], ["board-0", "odd"], ["board-1", "odd"]]
    for row, pair in zip(rows, fleet_proxies.pairs(odd), strict=True):
        taus = [one.tau.value for one in odd.between if one.devices == (pair.first, pair.second) and one.tau]
        assert (pair.found.middle, pair.found.low, pair.found.high) == (median(taus), min(taus), max(taus))
        assert row[2].startswith(fleet_proxies.signed(pair.found.middle))
    assert rows[2][2].count("\u2212") == 3, "the turned device puts them the other way round"
    section = page.locator("section[aria-labelledby=proxies]")
    assert section.locator("li").all_text_contents() == [fleet_proxies.swap(one) for one in odd.swaps]
    section.locator("summary").click()
    assert page.locator("#each-pair tbody tr").count() == len([one for one in odd.between if one.tau])
    assert page.locator("#device-proxies tbody tr").count() == 3
    text = files["markdown"].read_text(encoding="utf-8")
    assert "## What proxies hide" in text
    assert text.count("| board-0 | odd |") == 1
    assert from_json(files["json"].read_bytes(), Fleet) == odd


def test_devices_that_share_too_little_have_no_proxies(visit: Open, tmp_path: Path) -> None:
    page = visit(write_fleet(*fleet(2, 1), tmp_path)["html"])
    assert page.locator("section[aria-labelledby=proxies]").count() == 0


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")])
def test_axe_finds_nothing_and_a_phone_scrolls_only_within_tables(
    visit: Open, files: dict[str, Path], width: int, scheme: str
) -> None:
    page = visit(files["html"], width=width, color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    violations = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations] == []


def test_hostile_names_do_nothing(visit: Open, tmp_path: Path) -> None:
    found, spreads = fleet(2, 1)
    rankings = tuple(
        msgspec.structs.replace(
            ranking,
            device=f"{HOSTILE}{at}",
            run=f"{HOSTILE}{at}",
            started_at=HOSTILE,
            candidates=tuple(
                msgspec.structs.replace(
                    one, model=HOSTILE, exporter=f"{HOSTILE}{one.job}", init=HOSTILE, reasons=(HOSTILE,)
                )
                for one in ranking.candidates
            ),
            failures=tuple(msgspec.structs.replace(one, error=HOSTILE, hint=HOSTILE) for one in ranking.failures),
        )
        for at, ranking in enumerate(found.rankings)
    )
    hostile = Fleet(rankings=rankings, failures=())
    text = fleet_page(hostile, spreads)
    parsed = Page(text)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not any(tag == "img" or "onerror" in attrs for tag, attrs in parsed.tags)
    assert "\u202e" not in text
    page = visit(write_fleet(hostile, spreads, tmp_path)["html"])
    page.locator("#budget-field").fill("2")
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img").count() == 0


def test_devices_without_a_number_or_an_accuracy_are_told(visit: Open, tmp_path: Path) -> None:
    found, spreads = fleet(3, 1)
    usual, empty, blind = found.rankings
    empty = msgspec.structs.replace(empty, candidates=(), facts=None)
    rows = tuple(
        msgspec.structs.replace(one, top1=None, top1_low=None, top1_high=None, pareto=False) for one in blind.candidates
    )
    odd = Fleet(rankings=(usual, empty, msgspec.structs.replace(blind, candidates=rows)), failures=usual.failures)
    page = visit(write_fleet(odd, [spreads[0], {}, spreads[2]], tmp_path)["html"])
    text = page.locator("body").inner_text()
    assert "Nothing could be measured on this device" in text
    assert text.count("No accuracy is known here.") == 2
    assert page.locator("#choose").is_visible()
    nothing = Fleet(rankings=(empty,), failures=())
    assert (
        "There is no candidate"
        in visit(write_fleet(nothing, [{}], tmp_path / "b")["html"]).locator("body").inner_text()
    )
