"""Plots as files: on white, in real colours, with a legend, and nothing that needs the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
from PIL import Image
from report_records import MODELS, study

from edgeprof.report import write_plots
from edgeprof.report.plots import plots

RANKING, MEASUREMENTS = study(models={"resnet18": MODELS["resnet18"]})
NAMES = ["accuracy-latency", "spread", "time-order", "threads", "cold-start", "memory"]


def test_svg_files_stand_on_their_own(tmp_path: Path) -> None:
    written = write_plots(RANKING, MEASUREMENTS, tmp_path / "figures")
    assert [path.name for path in written] == [f"{name}.svg" for name in NAMES]
    for path in written:
        text = path.read_text(encoding="utf-8")
        tree = ET.fromstring(text)
        assert tree.tag.endswith("svg")
        assert float(tree.attrib["width"]) <= 740, path.name
        assert "var(" not in text, "CSS variables are nothing outside of the page"
        assert 'fill="white"' in text, "white paper behind it"
        assert not re.search(r"https?://(?!www\.w3\.org)", text)
        for shown in ("ONNX", "OpenVINO", "TFLite"):
            assert f">{shown}<" in text, f"{path.name} has a legend in words"


def test_png_files_are_sharp_enough_for_print(tmp_path: Path) -> None:
    written = write_plots(RANKING, MEASUREMENTS, tmp_path, "png")
    assert [path.name for path in written] == [f"{name}.png" for name in NAMES]
    for path in written:
        with Image.open(path) as image:
            assert image.width >= 2000
            assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
            assert len(image.convert("RGB").getcolors(1 << 24) or []) > 10


def test_only_what_is_known_is_drawn() -> None:
    rows = tuple(
        msgspec.structs.replace(one, top1=None, peak_rss_bytes=None) for one in RANKING.candidates if one.threads == 1
    )
    assert list(plots(msgspec.structs.replace(RANKING, candidates=rows), [])) == ["cold-start"]
    assert plots(msgspec.structs.replace(RANKING, candidates=()), []) == {}


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = "<script>hacked=1</script>\u202e../../x"
    rows = tuple(msgspec.structs.replace(one, model=name) for one in RANKING.candidates)
    written = write_plots(msgspec.structs.replace(RANKING, candidates=rows), MEASUREMENTS, tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(written)
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not any(element.tag.endswith("script") for element in ET.fromstring(text).iter())
        assert "\u202e" not in text
