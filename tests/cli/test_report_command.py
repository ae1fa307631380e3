"""`edgeprof report`: one run, several devices side by side, and plots; from a store as measuring leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from conftest import edgeprof
from report_records import MODELS, records, store_of

from edgeprof.records import Fleet, Round, Run, from_json
from edgeprof.store import Store

OTHER = "20260103-030405-7f3b"
MODEL = {"resnet18": MODELS["resnet18"]}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite's folder with a run on each of two devices."""
    root = tmp_path_factory.mktemp("work")
    store_of(root, MODEL)
    run, _, measurements, _ = records("jetson", MODEL)
    store = Store(root / ".edgeprof")
    store.put(Run.KIND, OTHER, msgspec.structs.replace(run, run=OTHER), run=OTHER)
    for measurement in measurements:
        for one in measurement.rounds:
            key = f"{OTHER}/{one.job}/{one.attempt}/{one.round}"
            store.put(Round.KIND, key, msgspec.structs.replace(one, run=OTHER), run=OTHER)
    store.close()
    return root


def test_all_devices_are_written_side_by_side(work: Path) -> None:
    done = edgeprof("--work", str(work), "report", "--device", "all", "--json", cwd=work)
    told = json.loads(done.stdout)
    assert told["runs"] == [OTHER, "20260102-030405-7f3a"]
    folder = work / "reports" / "devices" / f"{OTHER}-2-devices"
    assert {Path(path).parent for path in told["files"].values()} == {folder}
    fleet = from_json((folder / "ranking.json").read_bytes(), Fleet)
    assert [one.device for one in fleet.rankings] == ["jetson", "raspberry-pi"]
    assert "Which model to ship on 2 devices" in (folder / "report.html").read_text(encoding="utf-8")
    again = edgeprof("--work", str(work), "report", "-d", "jetson", "-d", "raspberry-pi", cwd=work)
    assert [Path(line).name for line in again.stdout.splitlines()] == [
        "ranking.json",
        "ranking.csv",
        "summary.md",
        "report.html",
        "ranking.parquet",
    ]


def test_the_report_of_several_devices_is_recomputed_byte_for_byte_with_any_run_in_it(work: Path) -> None:
    edgeprof("--work", str(work), "report", "--device", "all", cwd=work)
    folder = work / "reports" / "devices" / f"{OTHER}-2-devices"
    for run in (OTHER, "20260102-030405-7f3a"):
        edgeprof("--work", str(work), "report", "--run", run, cwd=work)
        told = json.loads(edgeprof("--work", str(work), "show", run, "--recompute", "--json", cwd=work).stdout)
        assert told["identical"] is True
        assert sum(Path(one["file"]).parent == folder for one in told["files"]) == 5
    page = folder / "report.html"
    page.write_text(page.read_text(encoding="utf-8").replace("Side by side", "Side by Side"), encoding="utf-8")
    changed = edgeprof("--work", str(work), "show", OTHER, "--recompute", cwd=work, code=6)
    assert changed.stdout.count("differs at") == 1
    assert 'written \'<h2 id="beside">Side by Side' in changed.stdout.replace("…", "").replace("  ", "")
    assert "edgeprof report --device A --device B" in changed.stderr
    table = folder / "ranking.json"
    table.write_text(table.read_text(encoding="utf-8").replace("20260102-030405-7f3a", "gone"), encoding="utf-8")
    gone = edgeprof("--work", str(work), "show", OTHER, "--recompute", cwd=work, code=6)
    assert "the run gone, which the store has not" in gone.stdout
    table.write_text("{", encoding="utf-8")
    none = edgeprof("--work", str(work), "show", OTHER, "--recompute", cwd=work, code=6)
    assert "its runs: it names none" in none.stdout
    page.unlink()
    edgeprof("--work", str(work), "report", "--device", "all", cwd=work)
    edgeprof("--work", str(work), "show", OTHER, "--recompute", cwd=work)


def test_plots_are_written_where_they_are_asked_for(work: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    asked = ("--plots", str(figures), "--plot-format", "png")
    done = edgeprof("--work", str(work), "report", "--device", "jetson", *asked, cwd=work)
    assert f"{OTHER}/report.html" in done.stdout
    drawn = sorted(path.name for path in figures.iterdir())
    assert drawn == [
        "accuracy-latency.png",
        "cold-start.png",
        "memory.png",
        "spread.png",
        "threads.png",
        "time-order.png",
    ]
    assert all(name in done.stdout for name in drawn)
    edgeprof("--work", str(work), "show", OTHER, "--recompute", cwd=work)


def test_what_cannot_be_meant_is_refused(work: Path) -> None:
    both = ("report", "--device", "jetson", "--device", "raspberry-pi", "--run", OTHER)
    done = edgeprof("--work", str(work), *both, cwd=work, code=2)
    assert "--run names one run" in done.stderr
    done = edgeprof("--work", str(work), "report", "--device", "jetson", "--device", "nowhere", cwd=work, code=2)
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
