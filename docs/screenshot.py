"""Makes the pictures of the report in docs/.

report.png is a real report from its budget to the end of its plot: `make screenshot` takes the newest run in this
folder, or name a report.html.
choose.png (a budget) and devices.png (side by side) are made of the made up records of the tests, on any machine.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "tests"))
SIZE = (1200, 1130)


def main() -> None:
    """Photograph what there is, each as a first-time reader sees it."""
    runs = sorted((HERE.parent / "reports" / "runs").glob("*/report.html"))
    report = Path(sys.argv[1]) if len(sys.argv) > 1 else runs[-1] if runs else None
    browser = os.environ.get("EDGEPROF_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("error: no Chromium was found\n  hint: apt-get install chromium")
    with sync_playwright() as play, tempfile.TemporaryDirectory() as folder:
        window = play.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        if report is not None:
            page = window.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
            page.goto(report.resolve().as_uri())
            boxes = [page.locator(one).bounding_box() for one in ("#choose", "section:has(#tradeoff)")]
            assert boxes[0] is not None
            assert boxes[1] is not None
            top, end = boxes[0]["y"] - 30, boxes[1]["y"] + boxes[1]["height"] + 20
            clip = {"x": 0, "y": top, "width": SIZE[0], "height": end - top}
            page.screenshot(path=HERE / "report.png", full_page=True, clip=clip)
            print(f"{report} -> {HERE / 'report.png'}")
        made_up(window, Path(folder))
        window.close()


def made_up(window: Browser, folder: Path) -> None:
    """The pictures that need no run."""
    from fleet_records import curves_of, fleet
    from report_records import study

    from edgeprof.report import write_fleet, write_reports

    devices, spreads = fleet(3, 4)
    one = write_reports(*study(), folder / "one")
    several = write_fleet(devices, spreads, folder / "several", curves_of(devices))
    for name, path, budget, top, height in (
        ("choose", one["html"], "5", "#choose", 1060),
        ("devices", several["html"], "4", "#choose", 1180),
    ):
        page = window.new_page(viewport={"width": SIZE[0], "height": height}, color_scheme="light")
        page.goto(path.as_uri())
        page.locator("#budget-field").fill(budget)
        if name == "choose":
            page.locator("#more-limits").click()
            page.locator("#limit-top1").fill("95")
        page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
        page.locator(top).evaluate("one => one.scrollIntoView()")
        page.wait_for_timeout(300)
        page.screenshot(path=HERE / f"{name}.png")
        print(f"{path.name} of made up records -> {HERE / f'{name}.png'}")


if __name__ == "__main__":
    main()
