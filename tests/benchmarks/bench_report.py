"""How long a large report takes to make, to open and to sort: 10 devices x 9 models x 9 exporters x 2 initialisations.

Run by `make bench`; prints tables and asserts nothing about time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

sys.path.append(str(Path(__file__).parent.parent / "report"))
from browsing import chromium
from fleet_records import curves_of, fleet
from report_records import MODELS, study

from edgeprof.report import write_fleet, write_reports

pytestmark = pytest.mark.bench

RUNS = 7
SEEN = "await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));"
"""Until what was asked for is on the screen."""
CLICK = f"""async ([list, index]) => {{
  const began = performance.now();
  document.querySelectorAll(list)[index].click();
  {SEEN}
  return performance.now() - began;
}}"""
TYPE = f"""async ([id, text]) => {{
  const field = document.getElementById(id);
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input", {{ bubbles: true }}));
  {SEEN}
  return performance.now() - began;
}}"""


def made(write: Callable[[], dict[str, Path]]) -> tuple[list[float], dict[str, Path]]:
    """Seconds of several runs, and the files."""
    seconds, files = [], {}
    for _ in range(RUNS):
        began = time.perf_counter()
        files = write()
        seconds.append(time.perf_counter() - began)
    return seconds, files


def row(what: str, seconds: list[float]) -> str:
    return f"| {what} | {statistics.median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |"


def opened(browser: Browser, path: Path) -> tuple[float, Page]:
    """Seconds until the page is loaded and drawn, in a fresh profile."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.evaluate(f"async () => {{ {SEEN} }}")
    return time.perf_counter() - began, page


def used(browser: Browser, path: Path) -> list[str]:
    """Lines of a table: opening, sorting, filtering, another budget."""
    found: dict[str, list[float]] = {"open": [], "sort": [], "filter": [], "budget": [], "show all rows, then sort": []}
    for _ in range(RUNS):
        seconds, page = opened(browser, path)
        found["open"].append(seconds)
        found["sort"].append(page.evaluate(CLICK, ["#table thead button", 6]) / 1e3)
        found["filter"].append(page.evaluate(TYPE, ["filter", "resnet18"]) / 1e3)
        found["budget"].append(page.evaluate(TYPE, ["budget-field", "8"]) / 1e3)
        page.evaluate(TYPE, ["filter", ""])
        more = page.locator("#filter-more")
        if more.is_visible():
            more.click()
        found["show all rows, then sort"].append(page.evaluate(CLICK, ["#table thead button", 6]) / 1e3)
        page.context.close()
    return [row(what, seconds) for what, seconds in found.items()]


def told(title: str, seconds: list[float], files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Open the page, and print the table."""
    with chromium() as browser:
        lines = used(browser, files["html"])
    with capsys.disabled():
        print(f"\n{title}\n\n| what | median s | least | most |\n|---|---|---|---|")
        print(row("make all its files", seconds))
        print("\n".join(lines))
        for path in files.values():
            print(f"| {path.name} | {path.stat().st_size / 1e6:.2f} MB | | |")


def test_a_fleet_of_ten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rankings, spreads = fleet()
    candidates = sum(len(one.candidates) for one in rankings.rankings)
    known = curves_of(rankings)
    seconds, files = made(lambda: write_fleet(rankings, spreads, tmp_path, known))
    told(f"{candidates} candidates side by side", seconds, files, capsys)


def test_a_device_of_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its raw samples: 27 models in three formats at two numbers of threads."""
    ranking, measurements = study(models={f"model_{number}": MODELS["resnet18"] for number in range(27)})
    seconds, files = made(lambda: write_reports(ranking, measurements, tmp_path))
    told(f"{len(ranking.candidates)} candidates of one device", seconds, files, capsys)
