"""The page for everybody: an axe check, and colours that can be told apart and read."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from accuracy_records import study as study_of_arms
from axe_playwright_python.sync_playwright import Axe
from browsing import Open, chromium, visits
from playwright.sync_api import Browser
from report_records import study

from edgeprof.pipeline import assemble, store_root
from edgeprof.report import write_reports
from edgeprof.store import Store

Vector = npt.NDArray[np.float64]
LOOKS = [(width, scheme) for width in (1280, 400) for scheme in ("light", "dark")]
# Simulations of full dichromacy on linear RGB. Source: Machado, Oliveira and Fernandes 2009, "A Physiologically-based
# Model for Simulation of Color Vision Deficiency", doi 10.1109/TVCG.2009.113, severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
APART = 18.0
"""Distance in CIE L*a*b*: about eight times what is just told apart side by side."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    with visits(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A usual report, one with every section on accuracy, and one of a run in which everything failed."""
    root = tmp_path_factory.mktemp("arms")
    ranking, measurements = study()
    empty = msgspec.structs.replace(ranking, candidates=(), operators=())
    return {
        "usual": write_reports(ranking, measurements, tmp_path_factory.mktemp("usual"))["html"],
        "arms": assemble(Store(store_root(root)), study_of_arms(root)).files["html"],
        "failed": write_reports(empty, [], tmp_path_factory.mktemp("failed"))["html"],
    }


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", ["usual", "arms", "failed"])
def test_axe_finds_nothing(visit: Open, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    page = visit(pages[name], width=width, color_scheme=scheme)
    for summary in page.locator("summary").all():
        summary.click()
    if name == "usual":
        page.locator("#budget-field").fill("5")
        page.locator("#filter").fill("resnet")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def palettes() -> dict[str, dict[str, str]]:
    """The colours of the light page, the dark page and paper, by name."""
    style = (files("edgeprof.report") / "templates" / "report.css").read_text(encoding="utf-8")
    light, dark, paper = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", one)) for one in _roots(style))
    return {"light": light, "dark": light | dark, "print": light | paper}


def _roots(style: str) -> list[str]:
    return re.findall(r":root \{(.*?)\}", style, re.S)


def linear(colour: str) -> Vector:
    """Linear RGB of a hexadecimal colour. Source: WCAG 2.2, relative luminance."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    channels = np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    dark, light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: Vector) -> Vector:
    """CIE L*a*b* (D65) of linear sRGB."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("where", ["light", "dark", "print"])
def test_text_and_marks_stand_out_from_what_is_behind_them(where: str) -> None:
    """WCAG AA: 4.5 for text, 3 for what is not text."""
    colours = palettes()[where]
    for text, behind in [
        *itertools.product(("ink", "soft", "link"), ("page", "panel")),
        *itertools.product(("ink", "soft", "link"), ("target", "good-panel")),
        ("warn", "warn-panel"),
        ("good", "good-panel"),
    ]:
        assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for mark in ("onnx", "openvino", "tflite", "front", "control"):
        assert contrast(colours[mark], colours["page"]) >= 3, mark


@pytest.mark.parametrize("where", ["light", "dark", "print"])
@pytest.mark.parametrize("vision", VISION)
def test_formats_are_told_apart_by_colour_whatever_the_colour_vision(where: str, vision: str) -> None:
    """And by shape, for those who see no colours."""
    colours = palettes()[where]
    seen = {name: lab(VISION[vision] @ linear(colours[name])) for name in ("onnx", "openvino", "tflite")}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > APART, (one, other)
