"""Makes docs/report.png from a report: `make screenshot` (the newest run in this folder), or name a report.html."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
SIZE = (1200, 1130)


def main() -> None:
    """Photograph the top of the report, as a first-time reader sees it."""
    runs = sorted((HERE.parent / "reports" / "runs").glob("*/report.html"))
    report = Path(sys.argv[1]) if len(sys.argv) > 1 else runs[-1]
    browser = os.environ.get("EDGEPROF_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("error: no Chromium was found\n  hint: apt-get install chromium")
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = window.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        page.screenshot(path=HERE / "report.png")
        window.close()
    print(f"{report} -> {HERE / 'report.png'}")


if __name__ == "__main__":
    main()
