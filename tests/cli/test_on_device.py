"""`--verify-on-device` and `--accuracy-on-device` as a user meets them: what differs is not to be missed."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from conftest import Done, edgeprof
from desk import Desk
from report_records import study
from rich.console import Console
from testbed.sshd import Sshd

from edgeprof.cli import console, on_device_lines
from edgeprof.records import Artifact, OnDevice, Ranking, Run, Verified
from edgeprof.stats.agreement import agreement
from edgeprof.store import Store
from edgeprof.zoo import checkpoint

IMAGES = 30


def awaited(holds: Callable[[], bool], otherwise: str, within_s: float = 120.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)


@pytest.fixture(scope="module")
def looked(done: Done, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A copy of a suite in which the host remembers other outputs of two files than the device will have.

    Of the ONNX file another class for one image in three, of the OpenVINO file something in the sixth digit. So it is
    as if the device computed something else, and as if it rounded otherwise. The root, its ranking and stderr.
    """
    root = Path(shutil.copytree(done.root, tmp_path_factory.mktemp("copy") / "süite"))
    store = Store(root / ".edgeprof")
    for artifact in store.all(Artifact.KIND, Artifact):
        labels, logits = checkpoint.read_predictions(store.blob(artifact.predictions_sha or ""))
        if artifact.exporter == "onnx-fp32":
            logits[::3] = -logits[::3]
        elif artifact.exporter == "openvino-fp32":
            logits = logits * np.float32(1 + 2e-6)
        sha = store.add_bytes(checkpoint.predictions_to_bytes(labels, logits))
        keys = [key for (key,) in store._db.execute("SELECT key FROM records WHERE kind = ?", (Artifact.KIND,))]
        (key,) = (key for key in keys if store.get(Artifact.KIND, key, Artifact) == artifact)
        store.put(Artifact.KIND, key, msgspec.structs.replace(artifact, predictions_sha=sha))
    store.close()
    ran = edgeprof("profile", "--rounds", "3", "--verify-on-device", str(IMAGES), "--json", cwd=root)
    return root, json.loads(ran.stdout), ran.stderr


def by_exporter(ranking: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["exporter"]: one for one in ranking["candidates"]}


def test_each_file_has_its_verdict(looked: tuple[Path, dict[str, Any], str]) -> None:
    found = by_exporter(looked[1])
    assert {name: one["device_verdict"] for name, one in found.items()} == {
        "onnx-fp32": "differs",
        "openvino-fp32": "rounding",
        "tflite-fp32": "same",
    }
    assert {one["device_images"] for one in found.values()} == {IMAGES}
    assert 0 < found["openvino-fp32"]["device_max_abs_diff"] < 1e-5
    assert found["tflite-fp32"]["device_max_abs_diff"] == 0
    assert found["onnx-fp32"]["device_agreement"] < 0.8
    for one in found.values():
        assert one["device_top1_low"] < one["device_top1"] < one["device_top1_high"]


def test_what_differs_is_not_trusted_and_names_its_images(looked: tuple[Path, dict[str, Any], str]) -> None:
    found = by_exporter(looked[1])
    assert found["onnx-fp32"]["reasons"][0] == "test images differ"
    assert not found["onnx-fp32"]["trusted"]
    for name in ("openvino-fp32", "tflite-fp32"):
        assert "test images differ" not in found[name]["reasons"]
    there = {one["job"]: one for one in looked[1]["on_device"]}[found["onnx-fp32"]["job"]]
    assert there["changed_images"] == round((1 - found["onnx-fp32"]["device_agreement"]) * IMAGES) > 0
    assert all(one["image"] % 3 == 0 and one["host"] != one["device"] for one in there["changed"])


def test_it_stands_in_every_form_of_the_result(looked: tuple[Path, dict[str, Any], str]) -> None:
    root, ranking, _ = looked
    folder = root / "reports" / "runs" / ranking["run"]
    shown = edgeprof("show", "latest", cwd=root).stdout
    words = " ".join(shown.split())
    assert f"on localhost: 1 candidate gives the same outputs as here on {IMAGES} test images" in words
    assert f"on the device SOMETHING ELSE than here on {IMAGES} test images: top-1 there" in words
    assert words.count("on the device") == 2, "of what is the same, no more is said"
    ranked = edgeprof("rank", cwd=root).stdout
    assert "computes SOMETHING ELSE than here" in ranked
    assert "but for rounding" in ranked
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="there">On the device</h2>' in page
    assert 'href="#doubts">differs</a>' in page
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert "## On the device" in summary
    assert "**computes something else**" in summary
    with (folder / "ranking.csv").open(encoding="utf-8") as file:
        rows = {row["exporter"]: row for row in csv.DictReader(file)}
    assert rows["onnx-fp32"]["device_verdict"] == "differs"
    assert rows["tflite-fp32"]["device_agreement"] == "1.0"
    assert "test images differ" in rows["onnx-fp32"]["reasons"]
    same = edgeprof("show", "latest", "--recompute", cwd=root).stdout
    assert all(line.endswith(": identical") for line in same.splitlines())


# --- the lines on the terminal


def ranking_of(*found: OnDevice) -> Ranking:
    """The candidates of a made up study, the first of them with these findings."""
    ranking, _ = study()
    there = [
        msgspec.structs.replace(one, job=candidate.job)
        for candidate, one in zip(ranking.candidates, found, strict=False)
    ]
    assert len(there) == len(found)
    return msgspec.structs.replace(ranking, on_device=tuple(there))


def found_of(logits: float, host: float = 1.0) -> OnDevice:
    """Of one image whose second class gets `host` there and `logits` on the device."""
    numbers = np.array([0], np.int64)
    here, there = (np.array([[0.0, value]], np.float32) for value in (host, logits))
    return agreement("?", numbers, np.array([1], np.int64), here, there, 1e-3)


def test_one_line_says_that_all_is_well() -> None:
    told = list(on_device_lines.lines(ranking_of(*[found_of(1.0)] * 9)))
    assert told == ["on raspberry-pi: 9 candidates give the same outputs as here on 1 test image"]


def test_nothing_is_said_where_it_was_not_asked_for() -> None:
    assert not list(on_device_lines.lines(study()[0]))


def test_what_differs_comes_first_and_is_never_left_out() -> None:
    """Of what rounds, the first few are named."""
    total = len(study()[0].candidates)
    rounding = on_device_lines.LISTED + 2
    differs = total - rounding
    told = list(on_device_lines.lines(ranking_of(*[found_of(-1.0)] * differs, *[found_of(1.0005)] * rounding)))
    assert told[0] == f"on raspberry-pi: {differs} candidates compute SOMETHING ELSE than here on 1 test image"
    some = told[1 : 1 + differs]
    assert all("top-1 there 0.0%" in line and "here 100.0%" in line for line in some)
    assert all("largest difference 2e+02% of the spread (rounding: up to 0.1%)" in line for line in some)
    assert told[1 + differs].endswith(
        f"{rounding} candidates give the outputs of here but for rounding on 1 test image"
    )
    assert told[-1].startswith("  and 2 more: edgeprof show ")
    assert len(told) == 1 + differs + 1 + on_device_lines.LISTED + 1


def test_nan_is_said_in_plain_words() -> None:
    (_, told) = on_device_lines.lines(ranking_of(found_of(np.nan)))
    assert told.endswith("the same class on 0 of 1, largest difference not finite, NaN or infinity for 1 image")


def test_no_line_is_wider_than_the_terminal_and_no_name_steers_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "out", lambda: Console(width=60, highlight=False))
    ranking = ranking_of(found_of(-1.0), found_of(1.0005))
    on_device_lines.tell_on_device(msgspec.structs.replace(ranking, device="\x1b[2J\u202e"))
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 60
    assert "\x1b" not in shown
    assert "\u202e" not in shown


# --- which images, and what goes wrong


def test_the_images_are_spread_over_the_classes(looked: tuple[Path, dict[str, Any], str]) -> None:
    root, ranking, _ = looked
    store = Store(root / ".edgeprof", read_only=True)
    kept = store.all(Verified.KIND, Verified, run=ranking["run"])
    artifact = next(one for one in store.all(Artifact.KIND, Artifact))
    labels, _ = checkpoint.read_predictions(store.blob(artifact.predictions_sha or ""))
    run = store.all(Run.KIND, Run)[-1]
    store.close()
    assert run.test_images == IMAGES
    assert [len(one.which) for one in kept] == [IMAGES] * 3
    assert np.bincount(labels[list(kept[0].which)]).tolist() == [IMAGES // 10] * 10


def test_the_progress_says_how_many_images_are_left(looked: tuple[Path, dict[str, Any], str]) -> None:
    assert f"test images: {3 * IMAGES} to do" in looked[2]
    assert f"test images: {3 * IMAGES}/{3 * IMAGES}" in looked[2]


def test_a_data_set_that_has_changed_is_a_failure_of_the_pass_alone(done: Done, tmp_path: Path) -> None:
    """Its images are not those that the host ran: a difference would say nothing about the device."""
    root = Path(shutil.copytree(done.root, tmp_path / "süite"))
    store = Store(root / ".edgeprof")
    store._db.execute(
        "UPDATE records SET body = replace(body, '\"data_sha\":\"', '\"data_sha\":\"0') WHERE kind = 'trained'"
    )
    store.close()
    options = ("--exporter", "onnx-fp32", "--rounds", "1", "--accuracy-on-device", "--json")
    told = json.loads(edgeprof("profile", *options, cwd=root).stdout)
    (failure,) = told["failures"]
    assert failure["error"].startswith("no outputs on test images: the data set was changed since the training")
    assert "train again" in failure["hint"]
    (candidate,) = told["candidates"]
    assert candidate["device_images"] is None


@pytest.mark.slow
def test_each_board_of_a_fleet_has_its_verdicts(done: Done, loopback: Sshd, tmp_path: Path) -> None:
    """One behind a real sshd beside this machine."""
    root = Path(shutil.copytree(done.root, tmp_path / "süite"))
    desk = Desk(tmp_path, root)
    desk.add(loopback, "pi", lease=str(tmp_path), workdir=str(tmp_path / "pi"), exporters=["tflite-fp32"])
    words = ("profile", "-d", "pi", "-d", "localhost", "-e", "tflite-fp32", "--rounds", "1", "--accuracy-on-device")
    ran = desk.edgeprof(*words)
    assert "on pi: 1 candidate gives the same outputs as here on 450 test images" in ran.stdout
    assert "on localhost: 1 candidate gives the same outputs as here on 450 test images" in ran.stdout
    answer = json.loads(desk.edgeprof(*words, "--json").stdout)
    for ranking in answer["rankings"]:
        (candidate,) = ranking["candidates"]
        assert (candidate["device_top1"], candidate["device_images"]) == (candidate["top1"], 450)


@pytest.mark.slow
def test_a_run_that_is_interrupted_in_the_pass_goes_on_with_the_part_that_is_left(done: Done, tmp_path: Path) -> None:
    """450 images of each file are two parts; what ended before Ctrl-C is not run again."""
    root = Path(shutil.copytree(done.root, tmp_path / "süite"))
    words = ("run", "--quick", "--accuracy-on-device")
    begun = subprocess.Popen(
        [sys.executable, "-m", "edgeprof", *words], cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert begun.stderr is not None
    lines = []
    for line in begun.stderr:
        lines.append(line)
        if "test images: 1350 to do" in line:
            break
    store = Store(root / ".edgeprof", read_only=True)
    run = store.all(Run.KIND, Run)[-1]
    awaited(lambda: len(store.all(Verified.KIND, Verified, run=run.run)) >= 1, "no part ends")
    begun.send_signal(signal.SIGINT)
    begun.communicate(timeout=60)
    assert begun.returncode == 130, "".join(lines)
    kept = {(one.job, one.part): one.logits_sha for one in store.all(Verified.KIND, Verified, run=run.run)}
    assert 1 <= len(kept) < 6
    ended = edgeprof(*words, cwd=root)
    assert f"taking up run {run.run}" in ended.stderr
    left = 1350 - sum(256 if part == 0 else 194 for _, part in kept)
    assert f"test images: {left} to do" in ended.stderr
    assert "3 candidates give the same outputs as here on 450 test images" in ended.stdout
    again = store.all(Verified.KIND, Verified, run=run.run)
    store.close()
    assert len(again) == 6, "each part of each file once"
    assert kept.items() <= {(one.job, one.part): one.logits_sha for one in again}.items()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("profile", "x.onnx", "--verify-on-device", "5"), "ready files have none"),
        (("profile", "x.onnx", "--accuracy-on-device"), "ready files have none"),
        (("run", "--verify-on-device", "5", "--accuracy-on-device"), "runs all test images already"),
        (("run", "--verify-on-device", "0"), "should be greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_made(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    told = edgeprof(*words, cwd=tmp_path, code=2).stderr
    assert says in " ".join(told.replace("│", " ").split())
