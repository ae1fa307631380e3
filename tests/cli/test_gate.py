"""`edgeprof gate` as a build calls it: real processes, a stand-in for the runtime, every exit code, every bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import xmlschema
from conftest import Done, edgeprof
from gate_place import Place, build

from edgeprof.pipeline.baseline import read_baseline, write_baseline
from edgeprof.rank.gate_limit import packed
from edgeprof.records import Artifact, Round, Run
from edgeprof.records.gate import Baseline, KnownTop1
from edgeprof.store import Store

SCHEMA = xmlschema.XMLSchema11(str(Path(__file__).parents[1] / "report" / "junit.xsd"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Once for all tests, which have a copy each."""
    return build(tmp_path_factory.mktemp("gate"))


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "place")
    return Place(tmp_path / "place")


def test_the_same_file_passes_and_the_answer_is_one_document(place: Place) -> None:
    told = json.loads(place.gate(place.file("busy 1"), "--json").stdout)
    assert (told["verdict"], told["exit_code"], told["again"]) == ("pass", 0, None)
    assert {one["limit"]: one["verdict"] for one in told["judgements"]} == dict.fromkeys(
        ("p50", "size", "memory"), "pass"
    )


@pytest.mark.slow
def test_a_slower_file_fails_after_it_was_measured_again_in_turn(place: Place) -> None:
    junit, summary = place.root / "out" / "gate.xml", place.root / "summary.md"
    summary.write_text("before\n")
    done = place.gate(
        place.file("busy 2"),
        "--size",
        "none",
        "--junit",
        str(junit),
        "--json",
        code=1,
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_ACTIONS="true",
    )
    told = json.loads(done.stdout)
    (latency,) = [one for one in told["judgements"] if one["limit"] == "p50"]
    assert (latency["verdict"], latency["how"]) == ("fail", "in turn")
    assert latency["change"]["low"] > 0.5
    store = Store(place.root / ".edgeprof", read_only=True)
    again = {one.run: one for one in store.all(Run.KIND, Run)}[told["again"]]
    assert again.pair, "what was measured again is no ranking"
    order = [one.job[0] for one in sorted(store.all(Round.KIND, Round, run=again.run), key=lambda one: one.position)]
    assert "".join(order).startswith("abbaabba"), "who goes first changes, so that a drift cancels"
    SCHEMA.validate(str(junit))
    assert "<failure" in junit.read_text()
    assert summary.read_text().startswith("before\n")
    assert "**fail**" in summary.read_text()
    assert any(line.startswith("::error ") for line in done.stderr.splitlines())


@pytest.mark.slow
def test_a_file_of_other_bytes_that_is_as_fast_passes(place: Place) -> None:
    done = place.gate(place.file("busy 1.0"), "--size", "none")
    assert "in turn with the baseline's file" in " ".join(done.stdout.split())
    assert done.stdout.startswith("pass: ")


@pytest.mark.slow
def test_where_the_baselines_file_is_gone_a_small_change_cannot_be_told(place: Place) -> None:
    store = Store(place.root / ".edgeprof")
    (artifact,) = store.all(Artifact.KIND, Artifact)
    store.blob(artifact.files[0].sha256).unlink()
    store.close()
    done = place.gate(place.file("busy 1.2"), "--size", "none", code=7)
    assert "measured apart from the baseline" in " ".join(done.stdout.split())
    assert "not calibrated" in done.stderr


@pytest.mark.slow
def test_a_run_that_is_there_is_judged_without_measuring(place: Place) -> None:
    edgeprof("profile", place.file("busy 1"), "-d", "here", "--rounds", "3", cwd=place.root, PYTHONPATH=place.path)
    told = json.loads(place.gate("--run", "latest", "--json", "--allow", "method", code=7).stdout)
    assert told["again"] is None
    place.gate("--run", "nonsense", code=2)
    place.gate("--run", "latest", place.file("busy 1"), code=2)


@pytest.mark.slow
def test_a_file_that_crashes_now_is_worse_and_a_runtime_that_is_gone_is_the_device(place: Place) -> None:
    done = place.gate(place.file("crash"), code=1)
    assert "profile failed" in done.stdout
    (place.root / "stand-in" / "onnxruntime" / "__init__.py").write_text("raise ImportError('gone')\n")
    junit = place.root / "gate.xml"
    place.gate(place.file("busy 1"), "--junit", str(junit), code=5)


def test_a_board_that_is_not_reached_is_told_in_every_file(place: Place) -> None:
    (place.root / "devices" / "far.toml").write_text('transport = "ssh"\nhost = "127.0.0.1"\nport = 1\n')
    place.changed(device="far")
    junit, summary = place.root / "gate.xml", place.root / "summary.md"
    done = place.gate(place.file("busy 1"), "--junit", str(junit), "--summary", str(summary), "--json", code=5)
    assert json.loads(done.stdout)["error"]["exit_code"] == 5
    SCHEMA.validate(str(junit))
    assert 'type="infrastructure"' in junit.read_text()
    assert "infrastructure" in summary.read_text()


@pytest.mark.slow
def test_facts_that_differ_are_named_and_can_be_allowed(place: Place) -> None:
    old = read_baseline(place.baseline)
    place.changed(facts=msgspec.structs.replace(old.facts, kernel="5.0-older"))
    done = place.gate(place.file("busy 1"), code=7)
    assert "kernel: 5.0-older then" in done.stdout + done.stderr
    assert "--allow kernel" in done.stderr
    told = json.loads(place.gate(place.file("busy 1"), "--allow", "kernel", "--no-again", "--json", code=7).stdout)
    assert told["differences"] == []
    assert any("kernel" in one for one in told["allowed"])
    place.gate(place.file("busy 1"), "--allow", "weather", code=2)


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (lambda text: text.replace('"schema": 1', '"schema": 2', 1), 6, "schema 2"),
        (lambda text: text[: len(text) // 2], 6, "no baseline"),
        (lambda text: "[]", 6, "names no schema"),
        (lambda text: '{"schema": 1}', 6, "Baseline"),
        (lambda text: text.replace('"p50_ns": [', '"p50_ns": [0, ', 1), 6, "damaged"),
        (lambda text: text.replace('"device": "here"', '"device": "other"', 1), 2, "device 'other', not of 'here'"),
        (lambda text: text.replace('"training": null', '"training": "demo"', 1), 2, "training 'demo'"),
        pytest.param(
            lambda text: text.replace('"model": "net"', '"model": "elsewhere"'),
            2,
            "none of the baseline's candidates",
            marks=pytest.mark.slow,
        ),
        (lambda text: "\x00" * 10, 6, "no baseline"),
    ],
)
def test_a_baseline_that_does_not_fit_is_refused(place: Place, damage: Any, code: int, words: str) -> None:
    place.baseline.write_text(damage(place.baseline.read_text()))
    done = place.gate(place.file("busy 1"), "--device", "here", "--json", code=code)
    assert words in json.loads(done.stdout)["error"]["what"]


def test_options_that_mean_nothing_are_refused_before_anything_is_measured(place: Place) -> None:
    for arguments in (["--latency", "5%"], ["-d", "nowhere"], ["-t", "demo"]):
        assert "error:" in place.gate(place.file("busy 1"), *arguments, code=2).stderr
    place.baseline.unlink()
    assert "--update" in place.gate(place.file("busy 1"), code=2).stderr
    place.gate("--calibrate", code=2)


@pytest.mark.slow
def test_what_is_not_measured_does_not_pass_in_silence(place: Place) -> None:
    done = place.gate(place.file("busy 1"), "--latency", "p99:10%", "--top1", "1pp", "--json", code=7)
    told = {one["limit"]: one for one in json.loads(done.stdout)["judgements"]}
    assert "it takes 100" in told["p99"]["reason"]
    assert "not known in the baseline" in told["top1"]["reason"]


@pytest.mark.slow
def test_an_update_writes_what_a_diff_can_show_and_keeps_the_calibration(place: Place) -> None:
    before = place.baseline.read_text().splitlines()
    told = json.loads(place.gate(place.file("busy 1"), "--update", "--json").stdout)
    assert told["candidates"] == 1
    after = place.baseline.read_text().splitlines()
    assert len(before) == len(after), "the same facts in the same lines"
    changed = {new.strip().split(":")[0] for old, new in zip(before, after, strict=True) if old != new}
    assert changed <= {
        f'"{name}"'
        for name in (
            *("run", "started_at", "value", "low", "high", "samples", "reasons", "trusted"),
            *("p50_ns", "p90_ns", "p99_ns", "canary_ns", "peak_rss_bytes"),
        )
    }
    assert place.gate(place.file("busy 1")).stdout.startswith("pass")
    place.gate(place.file("raise"), "--update", code=5)
    assert place.baseline.read_text().splitlines() == after, "nothing was measured, so nothing is written"


@pytest.mark.slow
def test_a_calibration_tells_what_the_gate_finds_and_an_update_keeps_it(place: Place) -> None:
    told = json.loads(place.gate("--calibrate", "--time", "1s", "--json").stdout)["calibration"]
    assert told["sessions"] >= 3
    assert told["gates"] == 1000
    assert {one["change"] for one in told["power"]} >= {0.05, 0.5}
    place.gate(place.file("busy 1"), "--update")
    kept: Baseline = read_baseline(place.baseline)
    assert kept.calibration is not None
    assert kept.calibration.made_at == told["made_at"]
    old = read_baseline(place.baseline)
    place.changed(facts=msgspec.structs.replace(old.facts, kernel="5.0-older"))
    place.gate(place.file("busy 1"), "--update")
    assert read_baseline(place.baseline).calibration is None, "another kernel, another spread"


@pytest.mark.slow
def test_a_training_is_gated_by_its_accuracy_too(done: Done, tmp_path: Path) -> None:
    root, file = tmp_path / "suite", tmp_path / "suite" / "b.json"
    shutil.copytree(done.root, root)
    edgeprof("gate", "-b", "b.json", "--run", "latest", "--update", cwd=root)
    told = json.loads(edgeprof("gate", "-b", "b.json", "--run", "latest", "--json", cwd=root).stdout)
    assert {one["limit"] for one in told["judgements"]} == {"p50", "top1", "size", "memory"}
    old = read_baseline(file)
    assert (told["verdict"], len(told["judgements"])) == ("pass", 4 * len(old.candidates))

    def best(known: KnownTop1 | None) -> KnownTop1:
        assert known is not None
        assert known.right is not None
        return msgspec.structs.replace(known, top1=1.0, right=packed(np.ones(known.images, dtype=np.bool_)))

    perfect = [msgspec.structs.replace(one, top1=best(one.top1)) for one in old.candidates]
    write_baseline(file, msgspec.structs.replace(old, candidates=tuple(perfect)))
    told = json.loads(edgeprof("gate", "-b", "b.json", "--run", "latest", "--json", cwd=root, code=1).stdout)
    worse = [one for one in told["judgements"] if one["verdict"] == "fail"]
    assert {one["limit"] for one in worse} == {"top1"}
    assert "images lost" in worse[0]["reason"]
    edgeprof("gate", "-b", "b.json", "--run", "latest", "--top1", "none", cwd=root)
    edgeprof("gate", "new.onnx", "-b", "b.json", cwd=root, code=2)
